//! Operators make, change, list and delete consumer groups.

use proto_core::{
    Command,
    bodies::{SubscriptionGroupConfig, SubscriptionGroupList},
    code::ResponseCode,
    headers::{
        DeleteSubscriptionGroupRequest, GetAllSubscriptionGroupRequest, GetSubscriptionGroupConfigRequest, UpdateGroupForbiddenRequest,
    },
};
use serde::Serialize;

use super::{Answer, Handled, body, encode, header, page};
use crate::{
    broker::{Broker, broadcast_offsets::broadcast_group, refusal::Refusal},
    output::{Reply, ReplyBody, Table},
    storage::Storage,
    time::Now,
};

/// The answer to `UPDATE_AND_GET_GROUP_FORBIDDEN`.
#[derive(Serialize)]
struct GroupForbidden<'a> {
    group: &'a str,
    readable: bool,
    topic: &'a str,
}

impl<S: Storage> Broker<S> {
    /// 200: makes or changes a group. No body changes nothing, as in Java.
    pub(super) fn update_and_create_group(&mut self, now: Now, command: &Command<'_>) -> Handled {
        if command.body.is_empty() {
            return Answer::ok();
        }
        let config: SubscriptionGroupConfig = body(command)?;
        self.groups.create_or_update(now.wall, config)?;
        Answer::saved(&[Table::SubscriptionGroups])
    }

    /// 225: the same for several groups, up to the first that is refused.
    pub(super) fn update_and_create_groups(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: SubscriptionGroupList = body(command)?;
        for config in request.group_config_list {
            self.groups.create_or_update(now.wall, config)?;
        }
        Answer::saved(&[Table::SubscriptionGroups])
    }

    /// 207: deletes a group, and its offsets if asked to.
    pub(super) fn delete_group(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: DeleteSubscriptionGroupRequest<'_> = header(command)?;
        let group = request.group_name.to_cow();
        self.groups.delete(now.wall, &group);
        self.locks.remove_group(&group);
        if !request.clean_offset {
            return Ok(Answer::AfterSaves(&[Table::SubscriptionGroups], Reply::ok()));
        }
        self.offsets.remove_group(&group);
        self.offsets.remove_group(&broadcast_group(&group));
        self.broadcast_offsets.remove_group(&group);
        self.save_offsets_now();
        Ok(Answer::AfterSaves(&[Table::SubscriptionGroups, Table::ConsumerOffsets], Reply::ok()))
    }

    /// 201: all groups, or a page of them.
    pub(super) fn all_group_configs(&self, command: &Command<'_>) -> Handled {
        let request: GetAllSubscriptionGroupRequest<'_> = header(command)?;
        let version = request.data_version.map(|text| text.to_cow());
        let mut configs: Vec<_> = self.groups.configs().collect();
        let total = configs.len();
        if let Some((from, len)) = page(request.group_seq, version.as_deref(), request.max_group_num, self.groups.version()) {
            configs.sort_unstable_by(|a, b| a.group_name.cmp(&b.group_name));
            configs = configs.into_iter().skip(from).take(len).collect();
        }
        let body = self.groups.wrapper(configs.into_iter());
        Answer::fields_and_body(vec![("totalGroupNum", total.to_string().into())], &body)
    }

    /// 352: one group, made if it may be made by using it.
    pub(super) fn group_config(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: GetSubscriptionGroupConfigRequest<'_> = header(command)?;
        match self.groups.find_or_create(now.wall, &request.group.to_cow()) {
            Some(config) => Answer::body(config),
            None => Err(Refusal::new(ResponseCode::SubscriptionGroupNotExist, "No group in this broker")),
        }
    }

    /// 353: whether a group may read a topic, changed first if asked to.
    pub(super) fn group_forbidden(&mut self, now: Now, command: &Command<'_>) -> Handled {
        let request: UpdateGroupForbiddenRequest<'_> = header(command)?;
        let (group, topic) = (request.group.to_cow(), request.topic.to_cow());
        if let Some(readable) = request.readable {
            self.groups.set_may_read(now.wall, &group, &topic, readable)?;
        }
        let readable = self.groups.may_read(&group, &topic);
        let body = ReplyBody::Bytes(encode(&GroupForbidden { group: &group, readable, topic: &topic }));
        let reply = Reply { body, ..Reply::ok() };
        Ok(if request.readable.is_some() { Answer::AfterSaves(&[Table::SubscriptionGroups], reply) } else { Answer::Now(reply) })
    }
}
