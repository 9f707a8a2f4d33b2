//! One request as a task: redirects, the head, the body in pieces, unpacked.

use std::io::Write;

use flate2::write::GzDecoder;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderName,
    HeaderValue, LOCATION, RANGE, SERVER, USER_AGENT,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use tokio::sync::mpsc::Sender;
use world::{Get, WebFault, WebId};

use super::connect::{Connector, Refused};
use super::url::Url;
use super::{Part, Told};

/// Redirects followed for one request; one more breaks it off.
const REDIRECTS: usize = 5;
/// A redirect's own page up to this long is read to its end, so that the connection can be used again.
const REDIRECT_PAGE: u64 = 16 * 1024;
/// Of the `Server` header.
const SERVER_LONGEST: usize = 64;

pub(super) type HttpClient = Client<Connector, Empty<Bytes>>;

/// A request under way.
pub(super) struct Fetch {
    pub(super) client: HttpClient,
    pub(super) agent: HeaderValue,
    pub(super) id: WebId,
    pub(super) get: Get,
    pub(super) url: Url,
    /// Where its parts go. Full: the task waits, its connection is not read, and the server is held back.
    pub(super) told: Sender<Told>,
}

impl Fetch {
    /// Runs to the end, which it tells too. Dropped at any point, it leaves nothing behind but what was told.
    pub(super) async fn run(self) {
        let part = match self.answer().await {
            Ok(()) => Part::End,
            Err(fault) => Part::Failed(fault),
        };
        self.tell(part).await;
    }

    async fn tell(&self, part: Part) {
        // Only the end of the run closes the channel.
        let _ = self.told.send(Told::Http(self.id, part)).await;
    }

    async fn answer(&self) -> Result<(), WebFault> {
        let response = self.follow().await?;
        let headers = response.headers();
        let packed = match (self.get.range, headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes)) {
            // A range is of the document as it is stored, packed or not; nothing of it can be unpacked by itself.
            (Some(_), _) | (None, None | Some(b"" | b"identity")) => false,
            (None, Some(b"gzip" | b"x-gzip")) => true,
            (None, Some(_)) => return Err(WebFault::Broken),
        };
        let length = if packed { None } else { number(headers, CONTENT_LENGTH) };
        self.tell(Part::Head {
            status: response.status().as_u16(),
            length,
            from: range_start(response.status(), headers),
            server: server(headers),
        })
        .await;
        let body = Pieces {
            fetch: self,
            left: self.get.most,
        };
        if packed {
            body.unpack(response.into_body()).await
        } else {
            body.pass_on(response.into_body()).await
        }
    }

    /// Asks until the answer is no redirect.
    async fn follow(&self) -> Result<Response<Incoming>, WebFault> {
        let mut url = self.url.clone();
        for _ in 0..=REDIRECTS {
            let sent = self.client.request(self.request(&url)?).await;
            let response = sent.map_err(|error| Refused::within(&error).unwrap_or(WebFault::Broken))?;
            let location = match response.status().as_u16() {
                301 | 302 | 303 | 307 | 308 => response.headers().get(LOCATION),
                _ => None,
            };
            let Some(location) = location else {
                return Ok(response);
            };
            let location = String::from_utf8_lossy(location.as_bytes());
            url = url.join(&location).ok_or(WebFault::BadUrl)?;
            let page = response.into_body();
            if page.size_hint().upper().is_some_and(|upper| upper <= REDIRECT_PAGE) {
                // What goes wrong with it is of no interest.
                let _ = page.collect().await;
            }
        }
        Err(WebFault::Broken)
    }

    fn request(&self, url: &Url) -> Result<Request<Empty<Bytes>>, WebFault> {
        let uri = url.uri().ok_or(WebFault::BadUrl)?;
        let mut request = Request::get(uri).header(USER_AGENT, &self.agent);
        request = match self.get.range {
            Some((first, last)) => request
                .header(RANGE, format!("bytes={first}-{last}"))
                .header(ACCEPT_ENCODING, "identity"),
            None => request.header(ACCEPT_ENCODING, "gzip"),
        };
        if let Some(login) = url.login() {
            request = request.header(AUTHORIZATION, login);
        }
        request.body(Empty::new()).map_err(|_| WebFault::BadUrl)
    }
}

/// The body of one answer on its way to the machine.
struct Pieces<'a> {
    fetch: &'a Fetch,
    /// Bytes that it may still have.
    left: u64,
}

impl Pieces<'_> {
    /// Tells what may still come; then fails if it was not all.
    async fn tell(&mut self, mut bytes: Bytes) -> Result<(), WebFault> {
        let too_long = bytes.len() as u64 > self.left;
        if too_long {
            bytes.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        }
        self.left -= bytes.len() as u64;
        if !bytes.is_empty() {
            self.fetch.tell(Part::Body(bytes)).await;
        }
        if too_long { Err(WebFault::TooLong) } else { Ok(()) }
    }

    async fn pass_on(mut self, mut body: Incoming) -> Result<(), WebFault> {
        while let Some(bytes) = next(&mut body).await? {
            self.tell(bytes).await?;
        }
        Ok(())
    }

    /// The decoder gives at most 32 KiB a call, so that a bomb is noticed long before it is big.
    async fn unpack(mut self, mut body: Incoming) -> Result<(), WebFault> {
        let mut decoder = GzDecoder::new(Vec::new());
        while let Some(packed) = next(&mut body).await? {
            let mut rest: &[u8] = &packed;
            while !rest.is_empty() {
                let taken = decoder.write(rest).map_err(|_| WebFault::Broken)?;
                rest = rest.get(taken..).unwrap_or_default();
                let unpacked = std::mem::take(decoder.get_mut());
                if taken == 0 && unpacked.is_empty() {
                    // Behind the end of the packed stream: padding, which some servers send.
                    break;
                }
                self.tell(unpacked.into()).await?;
            }
        }
        let last = decoder.finish().map_err(|_| WebFault::Broken)?;
        self.tell(last.into()).await
    }
}

/// The next bytes of a body; trailers are passed over.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, WebFault> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(WebFault::Broken),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}

fn number(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Of `Content-Range: bytes FIRST-LAST/WHOLE`, the first.
fn range_start(status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    if status != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range
        .trim()
        .strip_prefix("bytes")?
        .trim_start()
        .split_once('-')?
        .0
        .parse()
        .ok()
}

/// The `Server` header, in printable ASCII.
fn server(headers: &HeaderMap) -> String {
    let Some(server) = headers.get(SERVER) else {
        return String::new();
    };
    let printable = |byte: &u8| matches!(byte, b' '..=b'~');
    let kept = server.as_bytes().iter().copied().filter(printable).take(SERVER_LONGEST);
    kept.map(char::from).collect()
}
