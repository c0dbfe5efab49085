//! Verdicts and alerts on their way out of Weir, in a consumer group of their own, so that a slow or dead receiver never slows scoring.
//!
//! Nothing stands here yet: receivers read `weir.verdicts` and `weir.alerts` themselves until forwarding to syslog, webhooks and files
//! is built.
