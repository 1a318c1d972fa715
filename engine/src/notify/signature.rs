//! How webhooks are signed: `t=<unix>,v1=<hex HMAC-SHA256 of "t.body">`.

use ring::hmac;

use crate::model::Time;
use crate::repository::format::digest::hex;
use crate::secret::SecretText;

/// The value of `X-Backstay-Signature`. The time is that of the attempt, so that a receiver can refuse
/// what somebody sends again much later.
pub(super) fn sign(secret: &SecretText, at: Time, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let unix = at.timestamp();
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{unix}.").as_bytes());
    context.update(body);
    format!("t={unix},v1={}", hex(context.sign().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hmac_of_time_and_body() {
        let at = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        assert_eq!(
            sign(&SecretText::new("secret"), at, b"{\"a\":1}"),
            "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
        );
    }
}
