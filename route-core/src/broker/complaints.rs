//! What the operator is told of refused requests: one line now and then for each kind, that names peer, cause and remedy.

use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::code::{RequestCode, ResponseCode};

use super::refusal::Refusal;
use crate::{
    output::{NoticeLevel, Peer},
    time::Millis,
};

/// Time between two lines about requests of one kind that are refused with the same code.
const PAUSE: Millis = Millis::from_secs(10);

/// Characters of a remark that a line shows.
const SHOWN: usize = 240;

/// Remembers when which kind of refusal was told last. There are as many kinds as pairs of a request and a response code, so it needs no limit.
#[derive(Debug, Default)]
pub struct Complaints {
    told: IndexMap<(RequestCode, ResponseCode), Told, FixedState>,
}

#[derive(Debug)]
struct Told {
    at: Millis,
    /// Refusals since then that were kept quiet.
    silent: u64,
}

impl Complaints {
    /// A request was refused. The line for the log, if it is time for one.
    pub fn handle_refused(&mut self, now: Millis, peer: Peer, code: RequestCode, refusal: &Refusal) -> Option<(NoticeLevel, String)> {
        let silent = match self.told.get_mut(&(code, refusal.code)) {
            Some(told) if now.saturating_sub(told.at) < PAUSE => {
                told.silent += 1;
                return None;
            }
            Some(told) => {
                told.at = now;
                std::mem::take(&mut told.silent)
            }
            None => {
                self.told.insert((code, refusal.code), Told { at: now, silent: 0 });
                0
            }
        };
        let first_line = refusal.remark.lines().next().unwrap_or_default();
        // Names in it may be whatever a client has sent.
        let remark: String = first_line.chars().take(SHOWN).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let mut line = format!("{} of {} is refused with {}: {remark}", code.name(), peer.addr, refusal.code.name());
        if let Some(remedy) = remedy(refusal.code) {
            line += "; ";
            line += remedy;
        }
        if silent > 0 {
            line += &format!(" (and {silent} more of this kind since the last line)");
        }
        Some((level(code, refusal.code), line))
    }
}

/// What an operator can do about it.
const fn remedy(code: ResponseCode) -> Option<&'static str> {
    Some(match code {
        ResponseCode::TopicNotExist => "make the topic, or switch on autoCreateTopicEnable",
        ResponseCode::SubscriptionGroupNotExist => "make the group, or switch on autoCreateSubscriptionGroup",
        ResponseCode::NoPermission => "see the permissions of broker, topic and group",
        ResponseCode::SubscriptionParseFailed => "the consumer's expression has to be mended",
        ResponseCode::SubscriptionNotExist | ResponseCode::SubscriptionNotLatest | ResponseCode::FilterDataNotLatest => {
            "it goes away with the next heartbeats, unless consumers of one group subscribe to different things: all have to subscribe to the same"
        }
        ResponseCode::FilterDataNotExist => {
            "it goes away with the next heartbeats, unless the group's expression cannot be used, which another line tells: then it has to be mended"
        }
        ResponseCode::MessageIllegal => "the producer has to mend the message, or see maxMessageSize",
        _ => return None,
    })
}

const fn level(asked: RequestCode, code: ResponseCode) -> NoticeLevel {
    match (asked, code) {
        // Whoever asks is told, and nothing is wrong: a consumer that has just started asks before its group is known.
        (RequestCode::GetConsumerListByGroup, _) | (_, ResponseCode::QueryNotFound | ResponseCode::ConsumerNotOnline) => NoticeLevel::Debug,
        _ => NoticeLevel::Warn,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::output::PeerId;

    fn peer() -> Peer {
        Peer { id: PeerId(1), addr: SocketAddr::from(([10, 0, 0, 1], 40_000)), from_here: false }
    }

    fn refuse(complaints: &mut Complaints, at: u64, code: RequestCode, refusal: &Refusal) -> Option<String> {
        complaints.handle_refused(Millis(at), peer(), code, refusal).map(|(_, line)| line)
    }

    #[test]
    fn a_refusal_is_told_with_peer_cause_and_remedy() {
        let line = refuse(&mut Complaints::default(), 0, RequestCode::PullMessage, &Refusal::topic_missing("Orders"));
        let expected = "PULL_MESSAGE of 10.0.0.1:40000 is refused with TOPIC_NOT_EXIST: topic[Orders] not exist, apply first please!; \
                        make the topic, or switch on autoCreateTopicEnable";
        assert_eq!(line.as_deref(), Some(expected));
    }

    #[test]
    fn a_flood_of_one_kind_is_a_line_in_ten_seconds_and_hides_no_other_kind() {
        let mut complaints = Complaints::default();
        let missing = Refusal::topic_missing("Orders");
        assert!(refuse(&mut complaints, 0, RequestCode::PullMessage, &missing).is_some());
        for at in 1..=50 {
            assert_eq!(refuse(&mut complaints, at, RequestCode::PullMessage, &missing), None);
        }
        assert!(refuse(&mut complaints, 60, RequestCode::SendMessage, &missing).is_some());
        assert!(refuse(&mut complaints, 70, RequestCode::PullMessage, &Refusal::group_missing("G")).is_some());
        let line = refuse(&mut complaints, 10_000, RequestCode::PullMessage, &missing).unwrap_or_default();
        assert!(line.ends_with("(and 50 more of this kind since the last line)"), "{line}");
    }

    #[test]
    fn a_line_stays_one_line_of_bounded_length_whatever_a_client_has_sent() {
        let wild = Refusal::system(format!("a\u{1b}[31m{}\nsecond", "x".repeat(10_000)));
        let line = refuse(&mut Complaints::default(), 0, RequestCode::HeartBeat, &wild).unwrap_or_default();
        assert!(line.len() < 400 && !line.contains(char::is_control) && line.contains("a\u{fffd}[31m"), "{line}");
    }
}
