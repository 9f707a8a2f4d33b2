//! URLs that can be fetched: read from what people and servers write, joined with where a redirect points.

use hyper::Uri;
use hyper::header::HeaderValue;

/// Longer ones are refused: servers refuse them too.
const LONGEST: usize = 8 * 1024;

/// An `http` or `https` URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Url {
    secure: bool,
    /// `HOST` or `HOST:PORT`, in lower case.
    authority: String,
    /// Path and query; begins with a slash.
    path: String,
    /// User and password as the `Authorization` header says them.
    login: Option<HeaderValue>,
}

impl Url {
    /// Reads an absolute URL. What may not stand in one but often does (blanks, letters outside ASCII in the path) is
    /// percent-encoded; a fragment is cut off. `None` for other schemes, no host, or a host outside ASCII.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => false,
            _ if scheme.eq_ignore_ascii_case("https") => true,
            _ => return None,
        };
        Self::after_scheme(secure, rest)
    }

    /// Reads what follows `http://`.
    fn after_scheme(secure: bool, rest: &str) -> Option<Self> {
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (login, authority) = match authority.rsplit_once('@') {
            Some((login, authority)) => (Some(basic(login)?), authority),
            None => (None, authority),
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        let url = Self {
            secure,
            authority: authority.to_ascii_lowercase(),
            path: escaped(&format!("{slash}{path}")),
            login,
        };
        (url.path.len() <= LONGEST && url.uri().is_some()).then_some(url)
    }

    /// Where `location`, the header of a redirect from here, points. `None` if that is not a URL that can be fetched.
    ///
    /// The login goes along to the same host only, and never from TLS to none.
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        let location = location.trim();
        let location = location.split_once('#').map_or(location, |(location, _)| location);
        let mut url = if let Some(rest) = location.strip_prefix("//") {
            Self::after_scheme(self.secure, rest)?
        } else if has_scheme(location) {
            Self::parse(location)?
        } else {
            let here = self.path.split_once('?').map_or(self.path.as_str(), |(path, _)| path);
            let path = match location.chars().next() {
                None => self.path.clone(),
                Some('/') => location.to_owned(),
                Some('?') => format!("{here}{location}"),
                Some(_) => {
                    let folder = here.rsplit_once('/').map_or("", |(folder, _)| folder);
                    without_dots(&format!("{folder}/{location}"))
                }
            };
            Self::after_scheme(self.secure, &format!("{}{path}", self.authority))?
        };
        if url.login.is_none() && url.authority == self.authority && url.secure >= self.secure {
            url.login.clone_from(&self.login);
        }
        Some(url)
    }

    /// As HTTP libraries want it, without the login.
    pub(super) fn uri(&self) -> Option<Uri> {
        let scheme = if self.secure { "https" } else { "http" };
        let uri: Uri = format!("{scheme}://{}{}", self.authority, self.path).parse().ok()?;
        let authority = uri.authority()?;
        // The library takes any digits for a port.
        let is_port = match authority.as_str().strip_prefix(authority.host())? {
            "" => true,
            port => port.strip_prefix(':')?.parse::<u16>().is_ok_and(|port| port != 0),
        };
        (!authority.host().is_empty() && is_port).then_some(uri)
    }

    /// The value of the `Authorization` header, if the URL names a user.
    pub(super) const fn login(&self) -> Option<&HeaderValue> {
        self.login.as_ref()
    }
}

/// Whether a reference begins with a scheme, and is therefore absolute.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// A path and query whose path has neither `.` nor `..` (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        match part {
            "." => {}
            ".." => {
                kept.pop();
            }
            part => {
                kept.push(part);
                continue;
            }
        }
        // What ends in a folder keeps its slash.
        if parts.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/"))
}

/// Percent-encodes what may not stand in a path or query; escapes that are there stay.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if !b"\"<>\\^`{|}".contains(&byte) => out.push(char::from(byte)),
            _ => {
                let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
                out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    out
}

/// `user:password` of a URL as Basic authentication (RFC 7617).
pub(crate) fn basic(login: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Basic {}", base64(&unescaped(login)))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

pub(crate) fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let code = text
            .get(at + 1..at + 3)
            .filter(|code| code.bytes().all(|c| c.is_ascii_hexdigit()));
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(coded) if byte == b'%' => {
                out.push(coded);
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            out.push(if digit > group.len() {
                '='
            } else {
                char::from(DIGITS[value as usize])
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        Some(Url::parse(text)?.uri()?.to_string())
    }

    #[test]
    fn what_people_write_becomes_a_url() {
        for (text, uri) in [
            ("http://Example.org", "http://example.org/"),
            (
                "HTTPS://example.org:8443/a b?c=é#top",
                "https://example.org:8443/a%20b?c=%C3%A9",
            ),
            (" http://[::1]:80/x ", "http://[::1]:80/x"),
            ("http://example.org?a=1", "http://example.org/?a=1"),
            ("http://example.org/%41%zz", "http://example.org/%41%zz"),
            ("http://u:p@example.org/", "http://example.org/"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(uri), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_fetched_is_no_url() {
        let long = format!("http://example.org/{}", "a".repeat(LONGEST));
        for text in [
            "",
            "example.org/x",
            "ftp://example.org/x",
            "file:///etc/passwd",
            "http://",
            "http:///x",
            "http://:80/",
            "http://exämple.org/",
            "http://example.org:99999/",
            "http://example.org:0/",
            "http://exa mple.org/",
            "http://a\r\nb/",
            &long,
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn a_redirect_points_where_browsers_say() {
        let from = Url::parse("https://example.org/a/b/c?q=1").unwrap();
        for (location, uri) in [
            ("http://other.org/x", "http://other.org/x"),
            ("//other.org/x", "https://other.org/x"),
            ("/x?y", "https://example.org/x?y"),
            ("?y", "https://example.org/a/b/c?y"),
            ("", "https://example.org/a/b/c?q=1"),
            ("d:1/e", "nothing"),
            ("d/e", "https://example.org/a/b/d/e"),
            ("../d", "https://example.org/a/d"),
            ("../../../../d/./e/..", "https://example.org/d/"),
            (".#f", "https://example.org/a/b/"),
            ("file:///etc/passwd", "nothing"),
            ("ftp://example.org/", "nothing"),
        ] {
            let to = from.join(location).and_then(|url| Some(url.uri()?.to_string()));
            assert_eq!(to.as_deref().unwrap_or("nothing"), uri, "{location}");
        }
    }

    #[test]
    fn a_login_is_decoded_and_stays_with_its_host() {
        let url = Url::parse("https://us%65r:p%40ss@example.org/a").unwrap();
        assert_eq!(url.login().unwrap(), "Basic dXNlcjpwQHNz");
        let login = |location| url.join(location).unwrap().login().cloned();
        assert_eq!(login("/b"), url.login().cloned());
        assert_eq!(login("https://other.org/"), None);
        assert_eq!(login("http://example.org/"), None);
    }

    #[test]
    fn base64_pads_to_four() {
        let coded = ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes()));
        assert_eq!(coded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }
}
