//! Names and documents.

use world::{Get, WebFault, WebId};

use super::*;
use crate::disk::Content;

fn site() -> Site {
    Site::new()
        .host("host.test", ["192.0.2.9".parse().unwrap()])
        .page(
            "http://host.test/file",
            Content::pattern(Seed::from_number(1), 1_000_000),
        )
        .answer("http://host.test/announce?", |now, party, url, _| {
            let text = format!("{} {party} {}", now.as_secs(), url.len());
            Response::new(200, Content::bytes(text.into_bytes()))
        })
        .answer("http://host.test/breaks", |_, _, _, get| Response {
            breaks: Some((20_000, WebFault::Broken)),
            ..Response::document(&Content::pattern(Seed::from_number(2), 90_000), get)
        })
}

fn fetch(stage: &mut Stage<Puppet>, url: &str, range: Option<(u64, u64)>, most: u64) -> Vec<String> {
    let before = puppet(stage, 0).told.len();
    let get = Get { range, most };
    let (id, len) = (WebId(1), url.len());
    puppet(stage, 0).want(Effect::Fetch { id, get, len }, url.as_bytes());
    play(stage, 1_000);
    puppet(stage, 0).told[before..]
        .iter()
        .map(|(_, told)| told.clone())
        .collect()
}

fn with_web() -> Stage<Puppet> {
    let mut stage = stage(&[PLAIN]);
    stage.set_web(site());
    stage
}

#[test]
fn names_are_found_or_not() {
    let mut stage = with_web();
    for (number, name) in [(1, "host.test:80"), (2, "other.test:80"), (3, "10.1.1.1:7")] {
        let (id, len) = (WebId(number), name.len());
        puppet(&mut stage, 0).want(Effect::Resolve { id, len }, name.as_bytes());
    }
    play(&mut stage, 1);
    let told = puppet(&mut stage, 0).told();
    assert_eq!(
        told,
        [
            (0, "Resolved { id: WebId(3), addrs: [10.1.1.1:7] }"),
            (20, "Resolved { id: WebId(1), addrs: [192.0.2.9:80] }"),
            (20, "Resolved { id: WebId(2), addrs: [] }"),
        ]
    );
}

#[test]
fn a_range_of_a_document_comes_whole_and_in_order() {
    let mut stage = with_web();
    let said = fetch(&mut stage, "http://host.test/file", Some((100, 199)), 1_000);
    let body = Content::pattern(Seed::from_number(1), 200).to_vec();
    assert_eq!(
        said,
        [
            "Head { status: 206, length: Some(100), from: Some(100), server: \"sim\" }".to_owned(),
            format!("{:?}", HttpPart::Body(&body[100..])),
            "End".to_owned(),
        ]
    );
    assert_eq!(
        fetch(&mut stage, "http://host.test/file", Some((1_000_000, 1_000_001)), 9)[0][..18],
        *"Head { status: 416"
    );
}

#[test]
fn a_document_comes_at_the_rate_of_the_line_or_of_its_server() {
    let mut stage = with_web();
    fetch(&mut stage, "http://host.test/file", None, 1 << 20);
    let took = puppet(&mut stage, 0).told.last().unwrap().0.as_micros();
    assert!((1_050_000..1_070_000).contains(&took), "1 MB/s: {took}");
    stage.set_line(0, Line::new(1, 1_000_000_000, millis(10)));
    let begun = stage.now();
    fetch(&mut stage, "http://host.test/file", None, 1 << 20);
    let took = puppet(&mut stage, 0).told.last().unwrap().0.since(begun).as_millis();
    assert!((145..160).contains(&took), "10 MB/s: {took}");
}

#[test]
fn what_goes_wrong_is_said() {
    let mut stage = with_web();
    let mut last = |url, most| fetch(&mut stage, url, None, most).pop().unwrap();
    assert_eq!(last("ftp://host.test/", 9), "Failed(BadUrl)");
    assert_eq!(last("http://other.test/", 9), "Failed(NoName)");
    assert_eq!(last("http://host.test/breaks", 1 << 20), "Failed(Broken)");
    assert_eq!(last("http://host.test/file", 20_000), "Failed(TooLong)");
    assert!(fetch(&mut stage, "http://host.test:80/none", None, 9)[0].contains("404"));
}

#[test]
fn a_handler_knows_who_asks_for_what() {
    let mut stage = with_web();
    let said = fetch(&mut stage, "http://host.test/announce?x", None, 100);
    assert_eq!(said[1], format!("{:?}", HttpPart::Body(b"0 0 27")));
}

#[test]
fn a_fetch_that_is_given_up_says_no_more() {
    let mut stage = with_web();
    let url = "http://host.test/file";
    let (id, len, get) = (
        WebId(1),
        url.len(),
        Get {
            range: None,
            most: 1 << 20,
        },
    );
    puppet(&mut stage, 0).want(Effect::Fetch { id, get, len }, url.as_bytes());
    let _ = stage.next(Time::from_micros(500_000));
    let before = puppet(&mut stage, 0).told.len();
    assert!(before > 10);
    puppet(&mut stage, 0).want(Effect::CancelFetch { id }, &[]);
    assert_eq!(play(&mut stage, 9), Ended::Idle);
    assert_eq!(puppet(&mut stage, 0).told.len(), before);
}
