//! Requests as each service takes them.

use serde_json::json;
use url::Url;

use super::{Notice, events, signature, template};
use crate::error::{Error, Result};
use crate::ids::DeliveryId;
use crate::model::{MASK, SentRequest, Target, TargetKind, Time};
use crate::outbound::{Call, Guard};
use crate::secret::SecretText;

/// What services take at most, in characters, with room for the marks around it.
const DISCORD_CHARS: usize = 1900;
const TELEGRAM_CHARS: usize = 4000;
const SLACK_CHARS: usize = 30_000;
const NTFY_CHARS: usize = 3500;
/// What a log keeps of a request's body, an answer or an error.
const LOGGED_BYTES: usize = 8 * 1024;

/// The urgency of ntfy (1 to 5) and Gotify (0 to 10), where the target does not say.
const NTFY_PRIORITY: (u8, u8) = (4, 3);
const GOTIFY_PRIORITY: (u8, u8) = (8, 4);

/// A target with its secrets, ready to be told something.
#[derive(Clone, Debug)]
pub(crate) struct Courier {
    pub(crate) target: Target,
    pub(crate) url: Option<Url>,
    pub(crate) secret: Option<SecretText>,
    pub(crate) guard: Guard,
}

impl Courier {
    /// The title for this target.
    pub(super) fn title(&self, notice: &Notice) -> String {
        template::title(self.target.title.as_deref(), notice)
    }

    /// The text for this target.
    pub(super) fn body(&self, notice: &Notice) -> String {
        template::body(self.target.body.as_deref(), notice)
    }

    fn secret(&self) -> &str {
        self.secret.as_ref().map_or("", SecretText::expose)
    }

    fn priority(&self, (bad, good): (u8, u8), notice: &Notice) -> u8 {
        let usual = if events::is_bad(&notice.event) {
            bad
        } else {
            good
        };
        self.target.priority.unwrap_or(usual)
    }

    /// The address of a service with `path` behind it.
    fn under(&self, path: &str) -> Result<Url> {
        let base = self.base()?;
        let text = format!("{}{path}", base.as_str().trim_end_matches('/'));
        Url::parse(&text).map_err(|_| Error::invalid("The target's address cannot be read"))
    }

    fn base(&self) -> Result<&Url> {
        self.url.as_ref().ok_or_else(|| {
            Error::invalid(format!(
                "The target \"{}\" has no address",
                self.target.name
            ))
            .hint("Give it one with `backstay notification edit`")
        })
    }
}

/// An address as answers and logs show it: without what lets somebody in.
pub(crate) fn shown_url(kind: TargetKind, url: &Url) -> String {
    if matches!(kind, TargetKind::Slack | TargetKind::Discord) {
        return format!("{}/{MASK}", url.origin().ascii_serialization());
    }
    if url.query().is_none() {
        return url.to_string();
    }
    let mut open = url.clone();
    open.set_query(None);
    format!("{open}?{MASK}")
}

/// The request that tells a target something.
pub(crate) fn call(courier: &Courier, id: DeliveryId, notice: &Notice, at: Time) -> Result<Call> {
    let (title, text) = (courier.title(notice), courier.body(notice));
    let both = |mark: &str, most: usize| cut(&format!("{mark}{title}{mark}\n{text}"), most);
    let (url, headers, body) = match courier.target.kind {
        TargetKind::Webhook => return webhook(courier, id, notice, (title, text), at),
        TargetKind::Email => return Err(Error::internal("Mail is not sent by HTTP")),
        TargetKind::Slack => {
            // Without these, a text could call everybody or hide an address.
            let plain = both("*", SLACK_CHARS)
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            (courier.base()?.clone(), Vec::new(), json!({"text": plain}))
        }
        TargetKind::Discord => {
            let body =
                json!({"content": both("**", DISCORD_CHARS), "allowed_mentions": {"parse": []}});
            (courier.base()?.clone(), Vec::new(), body)
        }
        TargetKind::Telegram => {
            let url = courier.under(&format!("/bot{}/sendMessage", courier.secret()))?;
            let chat = courier.target.chat_id.clone().unwrap_or_default();
            let body = json!({
                "chat_id": chat,
                "text": both("", TELEGRAM_CHARS),
                "link_preview_options": {"is_disabled": true},
            });
            (url, Vec::new(), body)
        }
        TargetKind::Ntfy => {
            let body = json!({
                "topic": courier.target.topic,
                "title": title,
                "message": cut(&text, NTFY_CHARS),
                "priority": courier.priority(NTFY_PRIORITY, notice),
            });
            let bearer = (
                "Authorization".to_owned(),
                format!("Bearer {}", courier.secret()),
            );
            let headers = courier.secret.is_some().then_some(bearer);
            (courier.under("/")?, headers.into_iter().collect(), body)
        }
        TargetKind::Gotify => {
            let body = json!({
                "title": title,
                "message": text,
                "priority": courier.priority(GOTIFY_PRIORITY, notice),
            });
            let key = ("X-Gotify-Key".to_owned(), courier.secret().to_owned());
            (courier.under("/message")?, vec![key], body)
        }
    };
    Ok(posted(url, headers, body.to_string().into_bytes()))
}

fn webhook(
    courier: &Courier,
    id: DeliveryId,
    notice: &Notice,
    (title, text): (String, String),
    at: Time,
) -> Result<Call> {
    let mut document = serde_json::to_value(notice)
        .map_err(|error| Error::internal("A notification was not written").because(error))?;
    document["id"] = json!(id);
    document["title"] = json!(title);
    document["message"] = json!(text);
    let body = document.to_string().into_bytes();
    let secret = courier
        .secret
        .as_ref()
        .ok_or_else(|| Error::invalid("The webhook has no secret to sign with"))?;
    let headers = vec![
        ("X-Backstay-Event".to_owned(), notice.event.clone()),
        ("X-Backstay-Delivery".to_owned(), id.to_string()),
        (
            "X-Backstay-Signature".to_owned(),
            signature::sign(secret, at, &body),
        ),
    ];
    Ok(posted(courier.base()?.clone(), headers, body))
}

fn posted(url: Url, mut headers: Vec<(String, String)>, body: Vec<u8>) -> Call {
    headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    Call {
        method: "POST",
        url,
        headers,
        body,
    }
}

/// The request as the log keeps it.
pub(crate) fn described(courier: &Courier, call: &Call) -> SentRequest {
    let url = if courier.target.kind == TargetKind::Telegram {
        // The token is part of the path.
        let base = courier.url.as_ref().map_or("", Url::as_str);
        format!("{}/bot{MASK}/sendMessage", base.trim_end_matches('/'))
    } else {
        shown_url(courier.target.kind, &call.url)
    };
    let headers = call.headers.iter().map(|(name, value)| {
        let secret = matches!(name.as_str(), "Authorization" | "X-Gotify-Key");
        let value = if secret { MASK } else { value };
        (name.clone(), value.to_owned())
    });
    let text = String::from_utf8_lossy(&call.body);
    SentRequest {
        method: call.method.to_owned(),
        url,
        headers: headers.collect(),
        body: logged(&text),
    }
}

/// The first `most` characters, with a mark when that is not all.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most).collect();
    format!("{kept}…")
}

/// As much of a text as a log keeps.
pub(crate) fn logged(text: &str) -> String {
    text[..floor(text, LOGGED_BYTES)].to_owned()
}

/// The last place for a cut at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut end = at.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}
