//! Documents over HTTP from servers on loopback, and addresses of names.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use host::{Setup, Stage, WebPolicy};
use support::{Acts, play, setup};
use world::disk::{Folder, Source};
use world::{DiskOp, Done, Get, HttpPart, Input, JobId, StoreId, Time, WebFault};

const WHOLE: Get = Get {
    range: None,
    most: 1 << 20,
};

/// A request as a server saw it: its first line and its header lines, in lower case.
#[derive(Clone, Default, Debug)]
struct Request {
    line: String,
    headers: BTreeMap<String, String>,
}

/// A server of its own thread; each connection is served by `serve`, request after request, until it says false.
struct Server {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicU64>,
}

impl Server {
    fn start(serve: impl Fn(&Request, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicU64::new(0));
        let (serve, log, count) = (Arc::new(serve), Arc::clone(&seen), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                let (serve, log) = (Arc::clone(&serve), Arc::clone(&log));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut lines = BufReader::new(stream.try_clone().unwrap());
                    while let Some(request) = read_request(&mut lines) {
                        log.lock().unwrap().push(request.clone());
                        if !serve(&request, &mut stream) {
                            return;
                        }
                    }
                });
            }
        });
        Self {
            addr,
            seen,
            connections,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

fn read_request(lines: &mut impl BufRead) -> Option<Request> {
    let mut request = Request::default();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Some(request);
        }
        match line.split_once(": ") {
            Some((name, value)) if !request.line.is_empty() => {
                request.headers.insert(name.to_lowercase(), value.to_owned());
            }
            _ => request.line = line.to_owned(),
        }
    }
}

/// Writes an answer with a length; false if the client has hung up.
fn answer(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> bool {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body))
        .is_ok()
}

/// A stage that may speak to loopback, with so many requests at once.
fn stage_with(requests: usize) -> Stage {
    let mut stage = Stage::open(&setup()).unwrap();
    let policy = WebPolicy {
        user_agent: "estudely/test".to_owned(),
        allow_loopback: true,
        from: Vec::new(),
        proxy: None,
        requests,
    };
    stage.allow_web(&policy).unwrap();
    stage
}

/// What came of one request.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Came {
    /// Status, length, offset, server.
    head: Option<(u16, Option<u64>, Option<u64>, String)>,
    body: Vec<u8>,
    /// `None` while it is under way; then its failure, if it was one.
    end: Option<Option<WebFault>>,
}

impl Came {
    fn take(&mut self, part: HttpPart<'_>) {
        assert_eq!(self.end, None, "nothing comes after the end: {part:?}");
        match part {
            HttpPart::Head {
                status,
                length,
                from,
                server,
            } => self.head = Some((status, length, from, server.to_owned())),
            HttpPart::Body(bytes) => self.body.extend_from_slice(bytes),
            HttpPart::End => self.end = Some(None),
            HttpPart::Failed(fault) => self.end = Some(Some(fault)),
        }
    }

    fn failed(fault: WebFault) -> Self {
        Self {
            end: Some(Some(fault)),
            ..Self::default()
        }
    }

    fn status(&self) -> Option<u16> {
        self.head.as_ref().map(|head| head.0)
    }
}

/// Makes all requests at once, the first numbered 0, and waits for the end of each.
fn fetch_all(stage: Stage, asked: &[(Get, String)]) -> Vec<Came> {
    let mut came = vec![Came::default(); asked.len()];
    play(
        stage,
        |acts| {
            for (id, (get, url)) in asked.iter().enumerate() {
                acts.fetch(id as u64, *get, url);
            }
        },
        |acts, _, input| {
            if let Input::Http { id, part } = input {
                came[usize::try_from(id.0).unwrap()].take(part);
            }
            if came.iter().all(|came| came.end.is_some()) {
                acts.done();
            }
        },
    );
    came
}

fn fetch(get: Get, url: &str) -> Came {
    fetch_all(stage_with(8), &[(get, url.to_owned())]).remove(0)
}

#[test]
fn a_range_is_asked_for_and_its_place_is_told() {
    let document: Vec<u8> = (0..=255).collect();
    let server = Server::start(move |request, stream| {
        assert_eq!(request.headers["range"], "bytes=16-31");
        let headers = "Content-Range: bytes 16-31/256\r\nServer: nginx/1.0\r\n";
        answer(stream, "206 Partial Content", headers, &document[16..32])
    });
    let get = Get {
        range: Some((16, 31)),
        most: 16,
    };
    let came = fetch(get, &server.url("/a%20file?x=1"));
    assert_eq!(came.head, Some((206, Some(16), Some(16), "nginx/1.0".to_owned())));
    assert_eq!(came.body, (16..32).collect::<Vec<u8>>());
    assert_eq!(came.end, Some(None));
    let seen = server.seen().remove(0);
    assert_eq!(seen.line, "GET /a%20file?x=1 HTTP/1.1");
    assert_eq!(seen.headers["host"], server.addr.to_string());
    assert_eq!(seen.headers["user-agent"], "estudely/test");
    assert_eq!(seen.headers["accept-encoding"], "identity");
}

#[test]
fn one_request_after_another_goes_over_one_connection() {
    let server = Server::start(|_, stream| answer(stream, "200 OK", "", b"again"));
    let url = server.url("/");
    let mut bodies = Vec::new();
    play(
        stage_with(8),
        |acts| acts.fetch(0, WHOLE, &url),
        |acts, _, input| match input {
            Input::Http {
                part: HttpPart::Body(bytes),
                ..
            } => bodies.extend_from_slice(bytes),
            // The connection is free only after the last byte was read; a turn later is late enough.
            Input::Http {
                part: HttpPart::End, ..
            } => acts.wake = Some(Time::ZERO),
            Input::Tick if bodies.len() < 15 => acts.fetch(bodies.len() as u64, WHOLE, &url),
            Input::Tick => acts.done(),
            _ => {}
        },
    );
    assert_eq!(bodies, b"againagainagain");
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[test]
fn a_failure_has_its_status_and_its_page() {
    let server = Server::start(|_, stream| answer(stream, "404 Not Found", "", b"no"));
    let came = fetch(WHOLE, &server.url("/"));
    assert_eq!(came.head, Some((404, Some(2), None, String::new())));
    assert_eq!((came.body.as_slice(), came.end), (&b"no"[..], Some(None)));
}

#[test]
fn redirects_are_followed_five_times() {
    let server = Server::start(|request, stream| {
        let left: u32 = request.line.split(['/', ' ']).nth(2).unwrap().parse().unwrap();
        match left {
            0 => answer(stream, "200 OK", "", b"there"),
            _ => answer(stream, "302 Found", &format!("Location: /{}\r\n", left - 1), b"moved"),
        }
    });
    let came = fetch(WHOLE, &server.url("/5"));
    assert_eq!(
        (came.status(), came.body.as_slice(), came.end),
        (Some(200), &b"there"[..], Some(None))
    );
    // Whether the next request finds the connection free already is a matter of microseconds.
    assert!(server.connections.load(Ordering::Relaxed) < 6);
    assert_eq!(fetch(WHOLE, &server.url("/6")), Came::failed(WebFault::Broken));
    assert_eq!(server.seen().len(), 12);
}

#[test]
fn a_redirect_leads_to_nothing_that_could_not_be_asked_for() {
    let server = Server::start(|request, stream| {
        let location = match request.line.as_str() {
            "GET /file HTTP/1.1" => "file:///etc/passwd",
            "GET /ftp HTTP/1.1" => "ftp://127.0.0.1/",
            _ => "http://10.0.0.1/",
        };
        answer(
            stream,
            "301 Moved Permanently",
            &format!("Location: {location}\r\n"),
            b"",
        )
    });
    assert_eq!(fetch(WHOLE, &server.url("/file")), Came::failed(WebFault::BadUrl));
    assert_eq!(fetch(WHOLE, &server.url("/ftp")), Came::failed(WebFault::BadUrl));
    assert_eq!(fetch(WHOLE, &server.url("/net")), Came::failed(WebFault::Forbidden));
}

#[test]
fn this_machine_is_not_spoken_to_unless_it_may_be() {
    let server = Server::start(|_, stream| answer(stream, "200 OK", "", b"secret"));
    let port = server.addr.port();
    let mut stage = Stage::open(&setup()).unwrap();
    let policy = WebPolicy {
        user_agent: "estudely/test".to_owned(),
        allow_loopback: false,
        from: Vec::new(),
        proxy: None,
        requests: 8,
    };
    stage.allow_web(&policy).unwrap();
    let urls = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433"];
    let asked = urls.map(|host| (WHOLE, format!("http://{host}:{port}/")));
    let came = fetch_all(stage, &asked);
    assert_eq!(came, vec![Came::failed(WebFault::Forbidden); asked.len()]);
    assert_eq!(server.connections.load(Ordering::Relaxed), 0);
}

#[test]
fn a_request_comes_from_the_address_that_it_is_to_come_from() {
    let server = Server::start(|_, stream| {
        let from = stream
            .peer_addr()
            .map_or_else(|_| String::new(), |from| from.ip().to_string());
        answer(stream, "200 OK", "", from.as_bytes())
    });
    let mut stage = Stage::open(&setup()).unwrap();
    let from = ["127.0.0.9", "::1"].map(|ip| ip.parse().unwrap());
    stage
        .allow_web(&WebPolicy {
            user_agent: "estudely/test".to_owned(),
            allow_loopback: true,
            from: from.into(),
            proxy: None,
            requests: 8,
        })
        .unwrap();
    let came = fetch_all(stage, &[(WHOLE, server.url("/"))]);
    assert_eq!(came[0].body, b"127.0.0.9");
}

#[test]
fn a_stage_without_the_web_asks_nobody() {
    let stage = Stage::open(&Setup {
        listen: None,
        ..setup()
    })
    .unwrap();
    let came = fetch_all(stage, &[(WHOLE, "http://127.0.0.1:1/".to_owned())]);
    assert_eq!(came, [Came::failed(WebFault::Forbidden)]);
}

#[test]
fn a_packed_answer_is_unpacked() {
    let text: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&text).unwrap();
    let packed = encoder.finish().unwrap();
    let cut = packed[..packed.len() - 5].to_vec();
    let server = Server::start(move |request, stream| {
        assert_eq!(request.headers["accept-encoding"], "gzip");
        let body = if request.line.contains("cut") { &cut } else { &packed };
        answer(stream, "200 OK", "Content-Encoding: gzip\r\n", body)
    });
    let came = fetch(WHOLE, &server.url("/"));
    assert_eq!(came.head.unwrap().1, None);
    assert!(came.body == text);
    assert_eq!(came.end, Some(None));
    assert_eq!(fetch(WHOLE, &server.url("/cut")).end, Some(Some(WebFault::Broken)));
}

#[test]
fn a_bomb_ends_where_the_allowance_does() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let server = Server::start(move |_, stream| answer(stream, "200 OK", "Content-Encoding: gzip\r\n", &bomb));
    let get = Get {
        range: None,
        most: 1_000_000,
    };
    let came = fetch(get, &server.url("/announce"));
    assert_eq!((came.body.len(), came.end), (1_000_000, Some(Some(WebFault::TooLong))));
}

#[test]
fn a_longer_answer_than_allowed_is_cut() {
    let server = Server::start(|_, stream| answer(stream, "200 OK", "", &[7; 100]));
    let get = |most| Get { range: None, most };
    let came = fetch(get(99), &server.url("/"));
    assert_eq!((came.body.len(), came.end), (99, Some(Some(WebFault::TooLong))));
    assert_eq!(fetch(get(100), &server.url("/")).end, Some(None));
}

#[test]
fn a_server_is_held_back_by_a_slow_machine_and_hears_of_a_cancel() {
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let server = Server::start(move |_, stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        while stream.write_all(&[0; 65_536]).is_ok() {
            count.fetch_add(65_536, Ordering::Relaxed);
        }
        count.store(u64::MAX, Ordering::Relaxed);
        false
    });
    let mut stopped_at = 0;
    let url = server.url("/");
    play(
        stage_with(8),
        |acts| {
            let most = u64::MAX;
            acts.fetch(1, Get { range: None, most }, &url);
        },
        |acts: &mut Acts, now, input| match input {
            Input::Http {
                part: HttpPart::Body(_),
                ..
            } if stopped_at == 0 => {
                // The machine is busy: until the server has come to a halt.
                loop {
                    let before = sent.load(Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(300));
                    stopped_at = sent.load(Ordering::Relaxed);
                    if stopped_at == before {
                        break;
                    }
                }
                acts.cancel_fetch(1);
                acts.wake = Some(now);
            }
            Input::Tick if sent.load(Ordering::Relaxed) == u64::MAX => acts.done(),
            Input::Tick => acts.wake = Some(now + Duration::from_millis(5)),
            Input::Http { part, .. } => assert!(matches!(part, HttpPart::Head { .. }), "{part:?}"),
            _ => {}
        },
    );
    assert!(stopped_at < 100_000_000, "{stopped_at}");
}

#[test]
fn a_silent_server_can_be_given_up() {
    let server = Server::start(|_, stream| {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            .unwrap();
        // Until the client hangs up.
        let _ = stream.read(&mut [0]);
        false
    });
    let url = server.url("/");
    let mut body = Vec::new();
    play(
        stage_with(1),
        |acts| acts.fetch(1, WHOLE, &url),
        |acts, _, input| match input {
            Input::Http {
                id,
                part: HttpPart::Body(bytes),
            } if id.0 == 1 => {
                body.extend_from_slice(bytes);
                if body == b"half" {
                    acts.cancel_fetch(1);
                    // There is room for one, so this says that the first is gone.
                    acts.fetch(2, WHOLE, "http://127.0.0.1:0/");
                }
            }
            Input::Http {
                id,
                part: HttpPart::Failed(fault),
            } => {
                assert_eq!((id.0, fault), (2, WebFault::BadUrl));
                acts.done();
            }
            _ => {}
        },
    );
    assert_eq!(body, b"half");
}

#[test]
fn one_request_too_many_is_refused() {
    let server = Server::start(|_, stream| answer(stream, "200 OK", "", b"yes"));
    let asked = vec![(WHOLE, server.url("/")); 4];
    let ends: Vec<_> = fetch_all(stage_with(3), &asked)
        .into_iter()
        .map(|came| came.end.unwrap())
        .collect();
    assert_eq!(ends, [None, None, None, Some(WebFault::NoRoom)]);
}

#[test]
fn who_a_url_names_logs_in() {
    let server = Server::start(|request, stream| match request.headers.get("authorization") {
        Some(login) if login == "Basic dXNlcjpwQHNz" => answer(stream, "200 OK", "", b"in"),
        _ => answer(stream, "401 Unauthorized", "", b"out"),
    });
    let status = |login: &str| fetch(WHOLE, &format!("http://{login}@{}/", server.addr)).status();
    assert_eq!(status("user:p%40ss"), Some(200));
    assert_eq!(status("user:guess"), Some(401));
    assert!(server.seen().iter().all(|request| request.line == "GET / HTTP/1.1"));
}

#[test]
fn each_way_to_fail_has_its_name() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let babbler = Server::start(|_, stream| {
        let _ = stream.write_all(b"220 smtp ready\r\n\r\n");
        false
    });
    let hangs_up = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        false
    });
    let strange = Server::start(|_, stream| answer(stream, "200 OK", "Content-Encoding: br\r\n", b"?"));
    let asked = [
        ("not a url".to_owned(), WebFault::BadUrl),
        ("udp://127.0.0.1:1/".to_owned(), WebFault::BadUrl),
        (format!("http://{closed}/"), WebFault::NoConnection),
        ("http://name.invalid/".to_owned(), WebFault::NoName),
        (babbler.url("/"), WebFault::Broken),
        (hangs_up.url("/"), WebFault::Broken),
        (strange.url("/"), WebFault::Broken),
        (format!("https://{}/", babbler.addr), WebFault::Broken),
    ];
    for (url, fault) in asked {
        assert_eq!(fetch(WHOLE, &url).end, Some(Some(fault)), "{url}");
    }
}

#[test]
fn names_become_addresses() {
    let mut found = BTreeMap::new();
    play(
        stage_with(1),
        |acts| {
            for (id, place) in ["localhost:80", "127.0.0.2:81", "name.invalid:80", "no port"]
                .iter()
                .enumerate()
            {
                acts.resolve(id as u64, place);
            }
        },
        |acts, _, input| {
            if let Input::Resolved { id, addrs } = input {
                assert_eq!(found.insert(id.0, addrs.to_vec()), None);
            }
            if found.len() == 4 {
                acts.done();
            }
        },
    );
    assert!(
        !found[&0].is_empty()
            && found[&0]
                .iter()
                .all(|addr| addr.ip().is_loopback() && addr.port() == 80)
    );
    assert_eq!(found[&1], ["127.0.0.2:81".parse().unwrap()]);
    assert_eq!((found[&2].len(), found[&3].len()), (0, 0));
}

#[test]
fn a_body_goes_to_the_disk_from_where_it_came() {
    let content: Vec<u8> = (0..400_000_u32).flat_map(u32::to_le_bytes).collect();
    let sent = content.clone();
    let server = Server::start(move |_, stream| answer(stream, "200 OK", "", &sent));
    let url = server.url("/");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut names = Vec::new();
    Folder::encode(
        &mut names,
        folder.path().to_str().unwrap(),
        [("file", content.len() as u64)],
    );
    let (store, job) = (StoreId(0), JobId(0));
    let (mut asked, mut written) = (0, 0);
    play(
        stage_with(1),
        |acts| {
            acts.disk(store, job, DiskOp::Open { len: names.len() }, &names);
            let most = content.len() as u64;
            acts.fetch(0, Get { range: None, most }, &url);
        },
        |acts, _, input| match input {
            Input::Http {
                part: HttpPart::Body(bytes),
                ..
            } => {
                let (at, len) = (asked, bytes.len());
                asked += len as u64;
                let source = Source::Input { start: 0, len };
                acts.disk(store, job, DiskOp::Write { file: 0, at, source }, &[]);
            }
            Input::Disk {
                done: Done::Wrote(bytes),
                ..
            } => {
                written += bytes;
                if written == content.len() {
                    acts.done();
                }
            }
            Input::Disk { done, .. } => assert!(matches!(done, Done::Opened(_)), "{done:?}"),
            _ => {}
        },
    );
    assert!(std::fs::read(folder.path().join("file")).unwrap() == content);
}
