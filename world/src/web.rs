//! What a mind may ask of the web, and what it may be told: names to addresses, and ranges of documents over HTTP(S).

/// A request, by a number that the machine gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WebId(pub u64);

/// What is asked of a URL: always a GET. The URL is in the payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Get {
    /// First and last byte of the range, both included; `None` for the whole document.
    pub range: Option<(u64, u64)>,
    /// More bytes of body than this, unpacked, end it with [`WebFault::TooLong`].
    pub most: u64,
}

/// Part of an answer over HTTP. First [`HttpPart::Head`], then any number of [`HttpPart::Body`], then [`HttpPart::End`]; or
/// [`HttpPart::Failed`] at any point, which is the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpPart<'a> {
    /// The server has answered; redirects have been followed.
    Head {
        /// The status code.
        status: u16,
        /// Length of the body as announced, bytes.
        length: Option<u64>,
        /// Of a partial answer (206), the offset of its first byte in the document.
        from: Option<u64>,
        /// The `Server` header, as text of at most 64 bytes.
        server: &'a str,
    },
    /// Bytes of the body, unpacked; in order, any split.
    Body(&'a [u8]),
    /// The body is whole.
    End,
    /// It ended early. The asker keeps the deadlines.
    Failed(WebFault),
}

crate::closed_list! {
    /// Why the web does not answer.
    WebFault {
        /// Not a URL that can be fetched: neither http nor https, or no host.
        BadUrl => "bad URL",
        /// The name has no address.
        NoName => "no such host",
        /// The address is one that this run does not speak to.
        Forbidden => "forbidden address",
        /// It cannot be connected to.
        NoConnection => "no connection",
        /// The certificate is not one to trust.
        Untrusted => "untrusted certificate",
        /// The proxy in between cannot be reached, or does not lead there.
        Proxy => "no way through the proxy",
        /// It hung up, or did not speak HTTP.
        Broken => "broken off",
        /// More bytes than were allowed.
        TooLong => "answer too long",
        /// Too many requests are under way.
        NoRoom => "too many requests at once",
    }
}
