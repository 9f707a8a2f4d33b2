//! What is known of each node that ever answered.
