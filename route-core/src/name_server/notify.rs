//! Tells the members of a broker that the lowest id among them has changed.
//!
//! A member is told where it serves and not over the connection on which it registered, as Java brokers listen only there. Nobody
//! waits: who cannot be reached learns it from the next route.

use std::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use proto_core::code::RequestCode;

use super::routes::MinBrokerIdChange;
use crate::output::{Output, PeerId, Request};

type Fields = Vec<(&'static str, Cow<'static, str>)>;

/// Addresses that are being dialled, each with the latest word for it.
#[derive(Debug, Default)]
pub struct Notifier {
    dialing: BTreeMap<Arc<str>, Fields>,
    outputs: VecDeque<Output>,
}

impl Notifier {
    /// Addresses that are dialled at the same time; more are not told.
    pub const MAX_DIALING: usize = 1024;

    /// Tells everybody who is to be told.
    pub fn handle_min_broker_id_changed(&mut self, change: &MinBrokerIdChange) {
        let text = |value: &str| Cow::Owned(value.to_owned());
        let mut fields = vec![
            ("minBrokerId", Cow::Owned(change.min_broker_id.to_string())),
            ("brokerName", text(&change.broker_name)),
            ("minBrokerAddr", text(&change.min_broker_addr)),
        ];
        fields.extend(change.offline_broker_addr.as_deref().map(|addr| ("offlineBrokerAddr", text(addr))));
        fields.extend(change.ha_broker_addr.as_deref().map(|addr| ("haBrokerAddr", text(addr))));
        for address in &change.notify {
            let has_room = self.dialing.len() < Self::MAX_DIALING;
            match self.dialing.get_mut(address) {
                // A newer change replaces one that has not been told yet.
                Some(untold) => untold.clone_from(&fields),
                None if has_room => {
                    self.dialing.insert(address.clone(), fields.clone());
                    self.outputs.push_back(Output::Dial { address: address.clone() });
                }
                None => {}
            }
        }
    }

    /// A dial has come to its end. Whether it was one of ours.
    pub fn handle_dialed(&mut self, address: &str, peer: Option<PeerId>) -> bool {
        let Some(fields) = self.dialing.remove(address) else {
            return false;
        };
        if let Some(to) = peer {
            let request = Request { code: RequestCode::NotifyMinBrokerIdChange, oneway: true, fields: Some(fields), body: Bytes::new() };
            self.outputs.push_back(Output::Request { to, opaque: 0, request });
            self.outputs.push_back(Output::Close { peer: to, reason: Cow::Borrowed("the change of the lowest broker id is told") });
        }
        true
    }

    /// What the world should do, until it is empty.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(min_broker_id: i64, notify: &[&str]) -> MinBrokerIdChange {
        MinBrokerIdChange {
            broker_name: "b".into(),
            min_broker_id,
            min_broker_addr: "h:1".into(),
            offline_broker_addr: Some("h:0".into()),
            ha_broker_addr: None,
            notify: notify.iter().map(|address| Arc::from(*address)).collect(),
        }
    }

    fn drain(notifier: &mut Notifier) -> Vec<String> {
        std::iter::from_fn(|| notifier.poll_output())
            .map(|output| match output {
                Output::Dial { address } => format!("dial {address}"),
                Output::Request { request, .. } => format!("{} {:?}", request.code.name(), request.fields.unwrap()[0].1),
                Output::Close { .. } => "close".to_owned(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn each_member_is_dialled_told_and_left() {
        let mut notifier = Notifier::default();
        notifier.handle_min_broker_id_changed(&change(1, &["h:1", "h:2"]));
        assert_eq!(drain(&mut notifier), ["dial h:1", "dial h:2"]);
        assert!(notifier.handle_dialed("h:1", Some(PeerId(5))));
        assert!(notifier.handle_dialed("h:2", None));
        assert!(!notifier.handle_dialed("h:2", None));
        assert_eq!(drain(&mut notifier), ["NOTIFY_MIN_BROKER_ID_CHANGE \"1\"", "close"]);
    }

    #[test]
    fn a_newer_change_replaces_one_that_is_not_told_yet() {
        let mut notifier = Notifier::default();
        notifier.handle_min_broker_id_changed(&change(1, &["h:1"]));
        notifier.handle_min_broker_id_changed(&change(2, &["h:1"]));
        notifier.handle_dialed("h:1", Some(PeerId(5)));
        assert_eq!(drain(&mut notifier), ["dial h:1", "NOTIFY_MIN_BROKER_ID_CHANGE \"2\"", "close"]);
    }
}
