//! Figures for other programs: a page over HTTP, served from a thread of its own, so that whoever reads it slowly or often
//! does not keep the loop.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::HostError;
use crate::stage::{Device, Kind, bind};

/// Readers served at once; more are hung up on.
const MAX_READERS: usize = 16;
/// A reader that has not asked and been answered by then is hung up on.
const READER_DEADLINE: Duration = Duration::from_secs(10);
/// A page older than this is that of a loop that does not turn any more.
const STALE_AFTER: Duration = Duration::from_secs(10);
/// Request heads are read into this, and are refused if longer.
const HEAD_BUFFER: usize = 16 * 1024;
/// After a failed accept, as when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the page says, and since when.
type Page = RwLock<(Instant, Bytes)>;

/// A page of figures at `/metrics`, in the text format of Prometheus, and `/healthz`: 200 as long as the page is renewed, 503
/// otherwise. GET and HEAD only. It is served until the process ends.
#[derive(Clone, Debug)]
pub struct Metrics {
    page: Arc<Page>,
    addr: SocketAddr,
}

impl Metrics {
    /// Listens at `addr`, which `flag` sets, and begins to serve an empty page.
    ///
    /// # Errors
    ///
    /// [`HostError`] if the address cannot be had or the thread not be started.
    pub fn serve(addr: SocketAddr, flag: &'static str) -> Result<Self, HostError> {
        let listener: StdListener = bind(Kind::Listener, addr, Device::Any, flag)?.into();
        let addr = listener.local_addr().map_err(HostError::Loop)?;
        let page = Arc::new(RwLock::new((Instant::now(), Bytes::new())));
        let served = Arc::clone(&page);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(HostError::Loop)?;
        let thread = std::thread::Builder::new().name("metrics".to_owned());
        thread
            .spawn(move || runtime.block_on(accept(listener, served)))
            .map_err(HostError::Loop)?;
        Ok(Self { page, addr })
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Replaces the page, whole: no reader sees half of two.
    pub fn publish(&self, text: String) {
        let mut page = self.page.write().unwrap_or_else(PoisonError::into_inner);
        *page = (Instant::now(), Bytes::from(text));
    }
}

async fn accept(listener: StdListener, page: Arc<Page>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let readers = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if readers.fetch_add(1, Ordering::Relaxed) >= MAX_READERS {
            readers.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let (page, readers) = (Arc::clone(&page), Arc::clone(&readers));
        tokio::spawn(async move {
            // Whatever goes wrong with a reader is the reader's.
            let _ = timeout(READER_DEADLINE, answer(stream, &page)).await;
            readers.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn answer(stream: TcpStream, page: &Page) -> Result<(), hyper::Error> {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(request.method(), request.uri().path(), page);
        async move { Ok::<_, Infallible>(response) }
    });
    http1::Builder::new()
        // One request a connection: nobody holds a place between two scrapes.
        .keep_alive(false)
        .max_buf_size(HEAD_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn respond(method: &Method, path: &str, page: &Page) -> Response<Full<Bytes>> {
    let (since, text) = page.read().unwrap_or_else(PoisonError::into_inner).clone();
    let is_fresh = since.elapsed() < STALE_AFTER;
    if method != Method::GET && method != Method::HEAD {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD only\n");
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match path {
        "/metrics" => {
            let mut response = plain(StatusCode::OK, text);
            let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, format);
            response
        }
        "/healthz" if is_fresh => plain(StatusCode::OK, "ok\n"),
        "/healthz" => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "the run has stopped renewing its figures\n",
        ),
        _ => plain(StatusCode::NOT_FOUND, "/metrics or /healthz\n"),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let format = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, format);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(age: Duration) -> Page {
        RwLock::new((Instant::now().checked_sub(age).unwrap(), Bytes::from_static(b"a 1\n")))
    }

    fn status(method: &Method, path: &str, age: Duration) -> StatusCode {
        respond(method, path, &page(age)).status()
    }

    #[test]
    fn only_two_pages_and_two_methods_are_served() {
        let now = Duration::ZERO;
        assert_eq!(status(&Method::GET, "/metrics", now), StatusCode::OK);
        assert_eq!(status(&Method::HEAD, "/healthz", now), StatusCode::OK);
        assert_eq!(status(&Method::GET, "/", now), StatusCode::NOT_FOUND);
        assert_eq!(status(&Method::POST, "/metrics", now), StatusCode::METHOD_NOT_ALLOWED);
    }

    #[test]
    fn a_page_that_is_not_renewed_is_a_run_that_hangs() {
        assert_eq!(
            status(&Method::GET, "/healthz", STALE_AFTER),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
}
