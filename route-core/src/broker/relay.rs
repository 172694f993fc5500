//! What is asked of a client through the broker: the question goes to the client's connection, its answer back to who asked. Routes are asked of
//! name servers in the same way.

use bytes::Bytes;
use foldhash::fast::FixedState;
use indexmap::IndexMap;
use proto_core::{
    Command,
    bodies::{GetConsumerStatusBody, QueryAssignmentRequestBody},
    code::ResponseCode,
    json::{self, Dialect},
};

use super::{Asked, Broker, refusal::Refusal};
use crate::{
    output::{Output, PeerId, Reply, ReplyBody, ReplyHeader, Request},
    storage::{LogOffset, Storage},
    time::{Millis, Now},
};

/// How long a client may think about its answer, as in Java.
const PATIENCE: Millis = Millis::from_secs(10);

/// What becomes of a client's answer.
#[derive(Debug)]
pub(super) enum Relay {
    /// It goes to who asked, as it is.
    Forward {
        /// Who asked.
        asked: Asked,
        /// `group client`, for the text if no answer comes.
        whom: Box<str>,
    },
    /// It is one of the answers of a group's members (221).
    Status {
        /// The number of the round in which all were asked.
        round: u64,
        /// The client.
        client: Box<str>,
    },
    /// It is the route of a topic, of which a client asks for its share.
    Route {
        /// Who asked.
        asked: Asked,
        /// What.
        request: Box<QueryAssignmentRequestBody>,
    },
    /// It confirms that a reply has reached who waits for it (326).
    Reply {
        /// Who replied.
        asked: Asked,
        /// The client that waits.
        whom: Box<str>,
        /// What the one who replied is told.
        header: ReplyHeader,
        /// Where the log ends behind the reply, if it was stored.
        end: Option<LogOffset>,
    },
}

/// How a question ended.
#[derive(Clone, Copy, Debug)]
enum Ending<'a, 'c> {
    Answered(&'a Command<'c>),
    TimedOut,
    Disconnected,
}

/// Members of groups that are asked how far they are (223): one answer is made of all of theirs.
#[derive(Debug, Default)]
pub(super) struct StatusRounds {
    next: u64,
    open: IndexMap<u64, StatusRound, FixedState>,
}

#[derive(Debug)]
struct StatusRound {
    asked: Asked,
    awaited: usize,
    body: GetConsumerStatusBody,
}

impl StatusRounds {
    /// So many clients are asked.
    pub(super) fn begin(&mut self, asked: Asked, awaited: usize) -> u64 {
        self.next += 1;
        self.open.insert(self.next, StatusRound { asked, awaited, body: GetConsumerStatusBody::default() });
        self.next
    }

    /// One of them has answered, or never will. The last one brings out what they said.
    fn end_one(&mut self, round: u64, client: &str, said: Option<GetConsumerStatusBody>) -> Option<(Asked, GetConsumerStatusBody)> {
        let open = self.open.get_mut(&round)?;
        if let Some(said) = said {
            open.body.consumer_table.insert(client.to_owned(), said.message_queue_table);
        }
        open.awaited = open.awaited.saturating_sub(1);
        if open.awaited > 0 {
            return None;
        }
        self.open.swap_remove(&round).map(|round| (round.asked, round.body))
    }
}

impl<S: Storage> Broker<S> {
    /// Whether so many more questions may be under way.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn room_for_questions(&self, questions: usize) -> Result<(), Refusal> {
        if self.questions.has_room_for(questions) {
            return Ok(());
        }
        let remark = format!("{} questions to clients are under way, as many as may be: ask again later", self.questions.limit());
        Err(Refusal::new(ResponseCode::SystemBusy, remark))
    }

    /// Sends a request to a client; `then` is done with its answer.
    pub(super) fn ask_client(&mut self, now: Now, to: PeerId, request: Request, then: Relay) {
        let opaque = self.next_opaque();
        self.questions.handle_asked(to, opaque, now.mono + PATIENCE, then);
        self.outputs.push_back(Output::Request { to, opaque, request });
    }

    /// Sends a request to a name server, over the connection of the [registration](crate::registration). Its numbers there are positive, these are not.
    pub(super) fn ask_name_server(&mut self, now: Now, to: PeerId, request: Request, patience: Millis, then: Relay) {
        let opaque = !(self.next_opaque() & i32::MAX);
        self.questions.handle_asked(to, opaque, now.mono + patience, then);
        self.outputs.push_back(Output::Request { to, opaque, request });
    }

    /// A response of a client; `false` if nobody asked it anything.
    pub(super) fn handle_client_answer(&mut self, now: Now, from: PeerId, response: &Command<'_>) -> bool {
        let Some(relay) = self.questions.handle_answer(from, response.opaque) else { return false };
        self.end_question(now, relay, Ending::Answered(response));
        true
    }

    /// The questions to a connection that is gone are over.
    pub(super) fn end_questions_of(&mut self, now: Now, peer: PeerId) {
        for relay in self.questions.handle_disconnected(peer) {
            self.end_question(now, relay, Ending::Disconnected);
        }
    }

    /// The questions whose time is over have no answer.
    pub(super) fn end_overdue_questions(&mut self, now: Now) {
        while let Some(relay) = self.questions.pop_overdue(now) {
            self.end_question(now, relay, Ending::TimedOut);
        }
    }

    fn end_question(&mut self, now: Now, relay: Relay, ending: Ending<'_, '_>) {
        match relay {
            Relay::Forward { asked, whom } => self.reply(asked, forwarded(&whom, ending)),
            Relay::Status { round, client } => {
                if let Some((asked, body)) = self.status_rounds.end_one(round, &client, status(ending)) {
                    self.reply(asked, Reply::with_body(json::to_vec(&body, Dialect::Default).into()));
                }
            }
            Relay::Route { asked, request } => {
                let told = if let Ending::Answered(response) = ending { Some(response) } else { None };
                self.finish_assignment(now, asked, &request, told);
            }
            Relay::Reply { asked, whom, header, end } => {
                let arrived = matches!(ending, Ending::Answered(response) if response.code == ResponseCode::Success.code());
                let failure = (!arrived).then(|| format!("push reply message to {whom}fail.").into());
                self.answer_replier(now, asked, header, failure, end);
            }
        }
    }
}

/// A client's answer as who asked for it gets it.
fn forwarded(whom: &str, ending: Ending<'_, '_>) -> Reply {
    match ending {
        Ending::Answered(response) => Reply {
            code: ResponseCode::from_code(response.code).unwrap_or(ResponseCode::SystemError),
            remark: response.remark.map(|remark| remark.to_cow().into_owned().into()),
            body: if response.body.is_empty() { ReplyBody::Empty } else { ReplyBody::Bytes(Bytes::copy_from_slice(response.body)) },
            ..Reply::ok()
        },
        Ending::TimedOut => {
            let remark = format!("consumer {whom} Timeout: it has not answered for {} ms", PATIENCE.0);
            Reply::error(ResponseCode::ConsumeMsgTimeout, remark)
        }
        Ending::Disconnected => {
            Reply::error(ResponseCode::SystemError, format!("invoke consumer {whom} Exception: its connection was closed"))
        }
    }
}

/// How far a member says that it is; `None` if it does not say it.
fn status(ending: Ending<'_, '_>) -> Option<GetConsumerStatusBody> {
    match ending {
        Ending::Answered(response) if response.code == ResponseCode::Success.code() => json::from_slice(response.body).ok(),
        _ => None,
    }
}
