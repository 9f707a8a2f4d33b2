//! What a person sees of downloads: a bar for each torrent on a terminal, a line for each now and then in a log, JSON lines
//! for programs (CLI-14).

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::time::Duration;

use engine::{Event, State, Status, TorrentId, TrackerNews};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use world::{Member, Time};

use super::{is_watched, note, plain, size};

/// Between two lines of a log for one torrent.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Bars at once; more torrents than fit on a screen share a line.
const MOST_BARS: usize = 8;

/// Columns of a name.
const NAME: usize = 28;

/// The display of all downloads of a run.
pub struct Downloads {
    bars: Option<MultiProgress>,
    lines: BTreeMap<u32, ProgressBar>,
    rest: Option<ProgressBar>,
    json: bool,
    logged: Time,
}

impl Downloads {
    /// Bars if somebody watches; else log lines. With `json`, JSON lines on stdout besides.
    pub fn new(json: bool) -> Self {
        Self {
            bars: is_watched().then(MultiProgress::new),
            lines: BTreeMap::new(),
            rest: None,
            json,
            logged: Time::ZERO,
        }
    }

    /// Shows where all torrents are; to be called once a second. `waiting` magnet links lack their metadata.
    pub fn show(&mut self, now: Time, statuses: &[Status], waiting: usize) {
        if self.json {
            for status in statuses {
                put(&status_json(now, status));
            }
        }
        let Some(bars) = &self.bars else {
            return self.log(now, statuses, waiting);
        };
        for status in statuses.iter().take(MOST_BARS) {
            let bar = self.lines.entry(status.id.0).or_insert_with(|| {
                let bar = bars.add(ProgressBar::new(1_000));
                let style = ProgressStyle::with_template("{prefix}  [{bar:24}] {msg}");
                bar.set_style(
                    style
                        .unwrap_or_else(|_| ProgressStyle::default_bar())
                        .progress_chars("=> "),
                );
                bar.set_prefix(name(status));
                bar
            });
            bar.set_position((done(status) * 1_000.0) as u64);
            bar.set_message(line(status));
        }
        let others = statuses.len().saturating_sub(MOST_BARS);
        if others + waiting > 0 {
            let bar = self.rest.get_or_insert_with(|| bars.add(ProgressBar::new_spinner()));
            let done = statuses
                .iter()
                .skip(MOST_BARS)
                .filter(|status| status.wanted_done >= status.wanted)
                .count();
            bar.set_message(format!(
                "{others} more torrents, {done} of them complete; {waiting} magnet links wait for metadata"
            ));
            bar.tick();
        } else if let Some(bar) = self.rest.take() {
            bar.finish_and_clear();
        }
    }

    fn log(&mut self, now: Time, statuses: &[Status], waiting: usize) {
        if now < self.logged + LOG_EVERY {
            return;
        }
        self.logged = now;
        for status in statuses.iter().take(MOST_BARS) {
            note(&format!("Progress: {}: {}", name(status).trim_end(), line(status)));
        }
        if waiting > 0 {
            note(&format!("Progress: {waiting} magnet links wait for metadata"));
        }
    }

    /// Prints a line above the display, or into the log.
    pub fn note(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| note(text)),
            None => note(text),
        }
    }

    /// Something happened in the engine; `status` looks up a torrent.
    pub fn event(&self, now: Time, event: &Event, status: impl Fn(TorrentId) -> Option<Status>) {
        if self.json
            && let Some(value) = event_json(now, event, &status)
        {
            put(&value);
        }
        let named = |id: &TorrentId| status(*id).map_or_else(String::new, |status| name(&status).trim_end().to_owned());
        match event {
            Event::Finished(id) => {
                self.note(&format!("{}: complete", named(id)));
            }
            Event::HashFailed(id, piece) => {
                self.note(&format!("{}: piece {piece} was wrong; fetching it again", named(id)));
            }
            Event::Banned(id, ip) => self.note(&format!(
                "{}: {ip} gave wrong bytes and is not spoken to again",
                named(id)
            )),
            Event::Tracker(id, TrackerNews::Warned { url, text }) => {
                self.note(&format!(
                    "{}: {}: {}",
                    named(id),
                    plain(url.as_bytes()),
                    plain(text.as_bytes())
                ));
            }
            Event::Tracker(id, TrackerNews::Failed { url, why }) => {
                self.note(&format!(
                    "{}: {}: {}",
                    named(id),
                    plain(url.as_bytes()),
                    plain(why.as_bytes())
                ));
            }
            _ => {}
        }
    }

    /// Takes the display away.
    pub fn finish(&mut self) {
        self.lines.values().for_each(ProgressBar::finish_and_clear);
        if let Some(bar) = self.rest.take() {
            bar.finish_and_clear();
        }
    }
}

/// A torrent's name in its columns.
fn name(status: &Status) -> String {
    let text = plain(status.name.as_bytes());
    if text.chars().count() <= NAME {
        return format!("{text:NAME$}");
    }
    let head: String = text.chars().take(NAME - 1).collect();
    format!("{head}\u{2026}")
}

/// The share that is done of what it is doing, 0 to 1.
fn done(status: &Status) -> f64 {
    match (status.state, status.checking) {
        (State::Checking, (left, total)) if total > 0 => (total - left) as f64 / total as f64,
        _ => status.progress(),
    }
}

/// Where a torrent is, in one line.
fn line(status: &Status) -> String {
    let share = done(status) * 100.0;
    let rates = format!("{}/s down, {}/s up", size(status.down_rate), size(status.up_rate));
    let peers = format!("{}/{} peers", status.peers, status.connections.max(status.peers));
    match status.state {
        State::Failed => {
            let why = status.fault.map_or("the disk failed", |(fault, _)| fault.label());
            format!("{share:.1}%  stopped: {why}")
        }
        State::Opening | State::Checking | State::Allocating => format!("{share:.1}%  {}", status.state.label()),
        State::Downloading => {
            let eta = status.eta().map_or_else(|| "?".to_owned(), duration);
            format!(
                "{share:.1}% of {}  {rates}  ETA {eta}  {peers}  {} / {} pieces",
                size(status.wanted),
                status.pieces_done,
                status.pieces
            )
        }
        State::Finished | State::Seeding => {
            let ratio = status.all_uploaded as f64 / status.all_downloaded.max(status.wanted).max(1) as f64;
            format!(
                "{share:.1}% of {}  {}  {}/s up  ratio {ratio:.2}  {peers}",
                size(status.wanted),
                status.state.label(),
                size(status.up_rate)
            )
        }
    }
}

/// `2m 35s`.
fn duration(time: Duration) -> String {
    let secs = time.as_secs();
    match secs {
        0..60 => format!("{secs}s"),
        60..3_600 => format!("{}m {}s", secs / 60, secs % 60),
        3_600..86_400 => format!("{}h {}m", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{}d {}h", secs / 86_400, secs % 86_400 / 3_600),
    }
}

/// Where a torrent is, for programs: sizes in bytes, rates in bytes a second.
fn status_json(now: Time, status: &Status) -> Value {
    json!({
        "event": "status",
        "seconds": now.as_micros() as f64 / 1e6,
        "info_hash": status.info_hash.to_string(),
        "name": status.name,
        "state": status.state.label(),
        "error": status.fault.map(|(fault, _)| fault.label()),
        "progress": status.progress(),
        "total": status.total,
        "wanted": status.wanted,
        "wanted_done": status.wanted_done,
        "pieces": status.pieces,
        "pieces_done": status.pieces_done,
        "pieces_durable": status.pieces_durable,
        "checking_left": status.checking.0,
        "down_rate": status.down_rate,
        "up_rate": status.up_rate,
        "downloaded": status.downloaded,
        "uploaded": status.uploaded,
        "all_time_download": status.all_downloaded,
        "all_time_upload": status.all_uploaded,
        "active_time": status.active.as_secs(),
        "seeding_time": status.seeding.as_secs(),
        "redundant": status.redundant,
        "failed": status.failed,
        "peers": status.peers,
        "seeds": status.seeds,
        "connections": status.connections,
        "list_peers": status.known,
        "connect_candidates": status.candidates,
        "unchoked": status.unchoked,
        "distributed_copies": status.copies,
        "num_complete": status.swarm.0,
        "num_incomplete": status.swarm.1,
        "current_tracker": status.tracker,
        "eta": status.eta().map(|eta| eta.as_secs()),
    })
}

/// What happened, for programs; `None` for what the status tells.
fn event_json(now: Time, event: &Event, status: &impl Fn(TorrentId) -> Option<Status>) -> Option<Value> {
    let of = |id: &TorrentId, event: &str, more: Value| {
        let info_hash = status(*id).map(|status| status.info_hash.to_string());
        let mut value = json!({"event": event, "seconds": now.as_micros() as f64 / 1e6, "info_hash": info_hash});
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        Some(value)
    };
    match event {
        Event::State(id, state) => of(id, "state", json!({"state": state.label()})),
        Event::Finished(id) => of(id, "finished", Value::Null),
        Event::HashFailed(id, piece) => of(id, "hash_failed", json!({"piece": piece})),
        Event::Banned(id, ip) => of(id, "banned", json!({"ip": ip.to_string()})),
        Event::DiskFailed(id, fault, file) => of(id, "disk_failed", json!({"error": fault.label(), "file": file})),
        Event::Paused(id) => of(id, "paused", Value::Null),
        Event::Tracker(id, news) => match news {
            TrackerNews::Answered { url, peers } => of(id, "tracker_reply", json!({"url": url, "peers": peers})),
            TrackerNews::Warned { url, text } => of(id, "tracker_warning", json!({"url": url, "text": text})),
            TrackerNews::Failed { url, why } => of(id, "tracker_failed", json!({"url": url, "error": why})),
        },
        _ => None,
    }
}

/// One JSON line. Whoever read them may have gone: the download is what the run is for.
fn put(value: &Value) {
    let _ = writeln!(io::stdout().lock(), "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        assert_eq!(duration(Duration::from_secs(155)), "2m 35s");
        assert_eq!(duration(Duration::from_secs(59)), "59s");
        assert_eq!(duration(Duration::from_secs(90_061)), "1d 1h");
    }
}
