//! Messages to an application that takes several at a time (`ConsumeMessageConcurrentlyService`).

use proto_core::{
    code::{RequestCode, ResponseCode},
    properties::names as property,
};
use route_core::{Millis, Now};

use super::{Consumer, Model, Tag, Todo};
use crate::{
    client::remoting::{Answer, Ask, Patience, Remoting},
    fact::Fact,
    names::{Key, Queue, Spot},
};

/// Threads of the application (`consumeThreadMin`).
const THREADS: usize = 20;

/// Time that a broker has to take a failed message back.
const SEND_BACK_TIMEOUT: Millis = Millis::from_secs(5);

/// After this a message that could not be sent back is handed to the application again.
const RESUBMIT: Millis = Millis::from_secs(5);

/// A message on its way through the application.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) queue: Queue,
    /// The reading that brought it.
    pub(super) id: u64,
    pub(super) offset: i64,
    pub(super) key: Key,
    pub(super) times: i32,
}

impl Consumer {
    /// A message is to be handed to the application when one of its threads is free.
    pub(super) fn submit(&mut self, now: Now, queue: &Queue, id: u64, offset: i64) {
        let Some(message) = self.reading(queue, id).and_then(|reading| reading.messages.get(&offset)) else { return };
        let job = Job { queue: queue.clone(), id, offset, key: message.key, times: message.times };
        if self.busy < THREADS {
            self.hand_over(now, job);
        } else {
            self.backlog.push_back(job);
        }
    }

    fn hand_over(&mut self, now: Now, job: Job) {
        self.busy += 1;
        let most = u32::try_from(self.plan.work.0 + 1).unwrap_or(u32::MAX);
        let work = Millis(u64::from(self.random.below(most)));
        self.agenda.after(now, work, Todo::Finish(job));
    }

    /// The application is done with a message. If the queue was taken away meanwhile, nobody asks how it went.
    pub(super) fn finish(&mut self, now: Now, net: &mut Remoting<Tag>, job: Job) {
        self.busy -= 1;
        if let Some(next) = self.backlog.pop_front() {
            self.hand_over(now, next);
        }
        let plan = self.plan.clone();
        let Job { queue, id, offset, key, times } = job;
        let well = plan.failures(key) <= times;
        let spot = Spot { queue: queue.clone(), offset };
        self.journal.line(|| format!("{} has {} {key} from {spot}, try {times}", self.client, if well { "handled" } else { "failed" }));
        self.journal.note(Fact::Handled { group: plan.group.clone(), client: self.client.clone(), spot, key, times, well });
        if well || plan.model == Model::Broadcasting {
            return self.done_with(&queue, id, offset);
        }
        self.send_back(now, net, &queue, id, offset);
    }

    fn send_back(&mut self, now: Now, net: &mut Remoting<Tag>, queue: &Queue, id: u64, offset: i64) {
        let Some(message) = self.reading(queue, id).and_then(|reading| reading.messages.get(&offset)) else { return };
        let place = message.record.place;
        let unique = message.record.properties.get(property::UNIQ_KEY).cloned().unwrap_or_default();
        let topic = message.topic.to_string();
        let Some(address) = self.routes.master(&queue.broker).map(str::to_owned) else {
            return self.agenda.after(now, RESUBMIT, Todo::Resubmit(queue.clone(), id, offset));
        };
        let fields = vec![
            ("offset", place.to_string().into()),
            ("group", self.plan.group.to_string().into()),
            ("delayLevel", "0".into()),
            ("originMsgId", unique.into()),
            ("originTopic", topic.into()),
            ("unitMode", "false".into()),
            ("maxReconsumeTimes", self.plan.limit().to_string().into()),
        ];
        let ask = Ask::new(RequestCode::ConsumerSendMsgBack, fields);
        net.call(now, &address, ask, Patience::Sync(SEND_BACK_TIMEOUT), Tag::SendBack(queue.clone(), id, offset));
    }

    pub(super) fn handle_sent_back(&mut self, now: Now, queue: &Queue, id: u64, offset: i64, answer: &Answer) {
        if answer.as_ref().is_ok_and(|packet| packet.code == ResponseCode::Success.code()) {
            return self.done_with(queue, id, offset);
        }
        if let Some(message) = self.reading(queue, id).and_then(|reading| reading.messages.get_mut(&offset)) {
            message.times += 1;
            self.agenda.after(now, RESUBMIT, Todo::Resubmit(queue.clone(), id, offset));
        }
    }

    /// A message needs nothing more: the queue has come so far.
    fn done_with(&mut self, queue: &Queue, id: u64, offset: i64) {
        let removed = self.reading(queue, id).and_then(|reading| reading.remove(offset));
        if let Some(commit) = removed {
            self.offsets.update(queue, commit, true);
        }
    }
}
