//! `--metrics`: the figures of a run for Prometheus, while it runs.

use std::net::SocketAddr;

use crate::exit::BadInput;
use crate::report::{self, Figures};

/// The flag that sets the address.
const FLAG: &str = "--metrics";

/// The page, if one is wanted.
pub struct Page {
    served: Option<host::Metrics>,
    command: &'static str,
}

impl Page {
    /// Serves the page at `addr`, and says where that is.
    ///
    /// # Errors
    ///
    /// [`BadInput`] if the address cannot be had.
    pub fn serve(addr: Option<SocketAddr>, command: &'static str) -> anyhow::Result<Self> {
        let served = addr.map(|addr| host::Metrics::serve(addr, FLAG)).transpose();
        let served = served.map_err(|error| BadInput(error.to_string()))?;
        if let Some(served) = &served {
            report::note(&format!("figures on http://{}/metrics", served.addr()));
        }
        let page = Self { served, command };
        page.renew(Figures::default);
        Ok(page)
    }

    /// Renews the page; `figures` are gathered only if there is one. Once a second is often enough for any reader.
    pub fn renew(&self, figures: impl FnOnce() -> Figures) {
        if let Some(served) = &self.served {
            let text = figures().metrics();
            let (version, command) = (env!("CARGO_PKG_VERSION"), self.command);
            served.publish(format!(
                "# HELP estudely_build_info which program and job this is; always 1\n\
                 # TYPE estudely_build_info gauge\n\
                 estudely_build_info{{version=\"{version}\",command=\"{command}\"}} 1\n{text}"
            ));
        }
    }
}
