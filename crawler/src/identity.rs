//! Who we are: BEP 42 node ids and the vote on our own address.
