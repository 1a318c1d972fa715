//! What notifications say, and how each kind of target takes them.

pub mod events;
mod mail;
mod message;
mod notice;
mod signature;
mod template;

pub use notice::{Facts, Notice};

pub(crate) use mail::{check as check_mail, send as send_mail};
pub(crate) use message::{Courier, call, described, logged, shown_url};
pub(crate) use template::check as check_template;
