//! The metadata mind: which peer to ask, the talk with one peer, and proof that its bytes are the torrent's.
