//! One look over properties for all that a broker acts on.

use super::iter;

/// The values that a broker acts on, borrowed. Of equal names the last one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Special<'a> {
    /// `TAGS`
    pub tags: Option<&'a [u8]>,
    /// `KEYS`
    pub keys: Option<&'a [u8]>,
    /// `UNIQ_KEY`
    pub uniq_key: Option<&'a [u8]>,
    /// `DELAY`
    pub delay: Option<&'a [u8]>,
    /// `WAIT`
    pub wait: Option<&'a [u8]>,
    /// `TRAN_MSG`
    pub tran_msg: Option<&'a [u8]>,
    /// `PGROUP`
    pub producer_group: Option<&'a [u8]>,
    /// `POP_CK`
    pub pop_ck: Option<&'a [u8]>,
    /// `RETRY_TOPIC`
    pub retry_topic: Option<&'a [u8]>,
    /// `ORIGIN_MESSAGE_ID`
    pub origin_message_id: Option<&'a [u8]>,
    /// `REAL_TOPIC`
    pub real_topic: Option<&'a [u8]>,
    /// `REAL_QID`
    pub real_queue_id: Option<&'a [u8]>,
    /// `MSG_REGION`
    pub msg_region: Option<&'a [u8]>,
    /// `TRACE_ON`
    pub trace_on: Option<&'a [u8]>,
    /// `CLUSTER`
    pub cluster: Option<&'a [u8]>,
    /// `INNER_NUM`
    pub inner_num: Option<&'a [u8]>,
    /// `INNER_MULTI_DISPATCH`
    pub inner_multi_dispatch: Option<&'a [u8]>,
    /// `MSG_TYPE`
    pub msg_type: Option<&'a [u8]>,
    /// `__SHARDINGKEY`
    pub sharding_key: Option<&'a [u8]>,
    /// `TIMER_DELAY_SEC`
    pub timer_delay_sec: Option<&'a [u8]>,
    /// `TIMER_DELAY_MS`
    pub timer_delay_ms: Option<&'a [u8]>,
    /// `TIMER_DELIVER_MS`
    pub timer_deliver_ms: Option<&'a [u8]>,
    /// `TIMER_OUT_MS`
    pub timer_out_ms: Option<&'a [u8]>,
    /// `TIMER_DEL_UNIQKEY`
    pub timer_del_uniq_key: Option<&'a [u8]>,
    /// `__CRC32#`
    pub crc32: Option<&'a [u8]>,
}

impl<'a> Special<'a> {
    /// Goes over properties once.
    #[must_use]
    pub fn scan(bytes: &'a [u8]) -> Self {
        let mut found = Self::default();
        for (name, value) in iter(bytes) {
            if let Some(slot) = found.slot(name) {
                *slot = Some(value);
            }
        }
        found
    }

    /// Where a property's value is kept; the literals are those of [`super::names`], which a test compares.
    fn slot(&mut self, name: &[u8]) -> Option<&mut Option<&'a [u8]>> {
        Some(match name {
            b"TAGS" => &mut self.tags,
            b"KEYS" => &mut self.keys,
            b"UNIQ_KEY" => &mut self.uniq_key,
            b"DELAY" => &mut self.delay,
            b"WAIT" => &mut self.wait,
            b"TRAN_MSG" => &mut self.tran_msg,
            b"PGROUP" => &mut self.producer_group,
            b"POP_CK" => &mut self.pop_ck,
            b"RETRY_TOPIC" => &mut self.retry_topic,
            b"ORIGIN_MESSAGE_ID" => &mut self.origin_message_id,
            b"REAL_TOPIC" => &mut self.real_topic,
            b"REAL_QID" => &mut self.real_queue_id,
            b"MSG_REGION" => &mut self.msg_region,
            b"TRACE_ON" => &mut self.trace_on,
            b"CLUSTER" => &mut self.cluster,
            b"INNER_NUM" => &mut self.inner_num,
            b"INNER_MULTI_DISPATCH" => &mut self.inner_multi_dispatch,
            b"MSG_TYPE" => &mut self.msg_type,
            b"__SHARDINGKEY" => &mut self.sharding_key,
            b"TIMER_DELAY_SEC" => &mut self.timer_delay_sec,
            b"TIMER_DELAY_MS" => &mut self.timer_delay_ms,
            b"TIMER_DELIVER_MS" => &mut self.timer_deliver_ms,
            b"TIMER_OUT_MS" => &mut self.timer_out_ms,
            b"TIMER_DEL_UNIQKEY" => &mut self.timer_del_uniq_key,
            b"__CRC32#" => &mut self.crc32,
            _ => return None,
        })
    }

    /// Whether this is a half message: Java's `Boolean.parseBoolean`, so in any letter case.
    #[must_use]
    pub fn is_half(&self) -> bool {
        self.tran_msg.is_some_and(|value| value.eq_ignore_ascii_case(b"true"))
    }

    /// Whether the producer waits for the disk or a slave; it does unless WAIT says something other than true.
    #[must_use]
    pub fn waits_store_ok(&self) -> bool {
        self.wait.is_none_or(|value| value.eq_ignore_ascii_case(b"true"))
    }

    /// The delay level; 0 without one or with one that is no number.
    #[must_use]
    pub fn delay_level(&self) -> i32 {
        self.delay.and_then(super::number).and_then(|level| i32::try_from(level).ok()).unwrap_or(0)
    }

    /// What stands for the tag in a consume-queue unit.
    #[must_use]
    pub fn tags_code(&self) -> i64 {
        crate::hash::tags_code(self.tags.and_then(|tags| std::str::from_utf8(tags).ok()))
    }

    /// Whether any property asks for a delivery at some other time than now. A message that had its time once does not ask again.
    #[must_use]
    pub fn wants_time(&self) -> bool {
        let asks = self.timer_delay_sec.is_some() || self.timer_delay_ms.is_some() || self.timer_deliver_ms.is_some();
        asks && self.timer_out_ms.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::{find, names};

    #[test]
    fn every_special_property_is_found_under_its_name() {
        let every = [
            names::TAGS,
            names::KEYS,
            names::UNIQ_KEY,
            names::DELAY,
            names::WAIT,
            names::TRAN_MSG,
            names::PGROUP,
            names::POP_CK,
            names::RETRY_TOPIC,
            names::ORIGIN_MESSAGE_ID,
            names::REAL_TOPIC,
            names::REAL_QID,
            names::MSG_REGION,
            names::TRACE_ON,
            names::CLUSTER,
            names::INNER_NUM,
            names::INNER_MULTI_DISPATCH,
            names::MSG_TYPE,
            names::SHARDING_KEY,
            names::TIMER_DELAY_SEC,
            names::TIMER_DELAY_MS,
            names::TIMER_DELIVER_MS,
            names::TIMER_OUT_MS,
            names::TIMER_DEL_UNIQKEY,
            names::CRC32,
        ];
        let mut special = Special::default();
        let slots: std::collections::BTreeSet<_> =
            every.iter().map(|name| std::ptr::from_mut(special.slot(name.as_bytes()).unwrap())).collect();
        assert_eq!(slots.len(), every.len());
    }

    #[test]
    fn one_scan_finds_what_single_searches_find() {
        let text = b"TAGS\x01a\x02x\x01y\x02KEYS\x01k1 k2\x02TAGS\x01b\x02DELAY\x013";
        let special = Special::scan(text);
        assert_eq!(special.tags, find(text, names::TAGS));
        assert_eq!(special.tags, Some(&b"b"[..]));
        assert_eq!(special.keys, Some(&b"k1 k2"[..]));
        assert_eq!(special.delay_level(), 3);
        assert_eq!(special.uniq_key, None);
    }

    #[test]
    fn a_producer_waits_unless_it_says_that_it_does_not() {
        assert!(Special::scan(b"").waits_store_ok());
        assert!(Special::scan(b"WAIT\x01TRUE\x02").waits_store_ok());
        assert!(!Special::scan(b"WAIT\x01false\x02").waits_store_ok());
    }
}
