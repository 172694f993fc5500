//! The handle by which a producer takes back a timed message: it is told with the answer to the send.

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use thiserror::Error;

/// Java's URL-safe coder: it writes the padding and does not insist on it.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&URL_SAFE, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

const VERSION: &str = "v1";

/// A text that is no handle; the text is the remark that clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("recall handle is invalid")]
pub struct RecallHandleError;

/// What a handle names: base64 of `v1 topic broker time key`.
///
/// ```
/// use proto_core::recall::RecallHandle;
///
/// let handle =
///     RecallHandle { topic: "TopicTest".into(), broker: "broker-a".into(), timestamp: "1700000060000".into(), unique_key: "7F".into() };
/// assert_eq!(RecallHandle::decode(&handle.encode()), Ok(handle));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecallHandle {
    /// The topic that the message was sent to.
    pub topic: String,
    /// The broker that holds it.
    pub broker: String,
    /// A moment, in ms since 1970, that the broker rounds to the same moment of delivery as it did the message's own.
    pub timestamp: String,
    /// The message's unique key.
    pub unique_key: String,
}

impl RecallHandle {
    /// The text that clients are given.
    #[must_use]
    pub fn encode(&self) -> String {
        BASE64.encode([VERSION, &self.topic, &self.broker, &self.timestamp, &self.unique_key].join(" "))
    }

    /// Reads a handle. What follows the key is left out, as Java leaves it out.
    ///
    /// # Errors
    /// [`RecallHandleError`]
    pub fn decode(handle: &str) -> Result<Self, RecallHandleError> {
        let text = BASE64.decode(handle).map_err(|_| RecallHandleError)?;
        let text = std::str::from_utf8(&text).map_err(|_| RecallHandleError)?;
        let mut words = text.split(' ').map(str::to_owned);
        if words.next().as_deref() != Some(VERSION) {
            return Err(RecallHandleError);
        }
        let mut next = || words.next().ok_or(RecallHandleError);
        let handle = Self { topic: next()?, broker: next()?, timestamp: next()?, unique_key: next()? };
        // Java's split drops empty words at the end, so that too few are left.
        if handle.unique_key.is_empty() { Err(RecallHandleError) } else { Ok(handle) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_handle_is_refused() {
        let encode = |text: &str| BASE64.encode(text);
        for wrong in ["", "!", "djE", &encode("v2 T b 1 k"), &encode("v1 T b 1"), &encode("v1 T b 1 "), &encode("v1 T b 1 \u{1}")[..3]] {
            assert_eq!(RecallHandle::decode(wrong), Err(RecallHandleError), "{wrong:?}");
        }
    }

    #[test]
    fn padding_may_be_missing_and_more_words_do_not_count() {
        let handle = RecallHandle::decode(BASE64.encode("v1 T b 1 key more").trim_end_matches('=')).unwrap();
        assert_eq!(handle, RecallHandle { topic: "T".into(), broker: "b".into(), timestamp: "1".into(), unique_key: "key".into() });
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = RecallHandle::decode(&text);
        }
    }
}
