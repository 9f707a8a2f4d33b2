//! The DHT mind: node, lookups, sampler, responder, politeness, frontier.
