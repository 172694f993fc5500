//! A compiled plugin and the instance of it that is kept warm.

use route_core::plugins::Share;
use wasmtime::component::{Component, ComponentExportIndex, ComponentType, InstancePre, Lower, TypedFunc};

use crate::{
    contract::{Kind, wants},
    failure::{Failure, LoadError, first_words},
    limits::Limits,
    packing::Batch,
    sandbox::{Bounds, Sandbox},
};

/// A queue as the contract has it.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Queue<'a> {
    topic: &'a str,
    #[component(name = "broker-name")]
    broker_name: &'a str,
    #[component(name = "queue-id")]
    queue_id: i32,
}

/// A client as the contract has it.
#[derive(ComponentType, Lower)]
#[component(record)]
struct Client<'a> {
    id: &'a str,
    properties: &'a [(&'a str, &'a str)],
}

type Validate = TypedFunc<(&'static str,), (Result<(), String>,)>;
type Matches = TypedFunc<(&'static [u8],), (u64,)>;
type Allocate = TypedFunc<(&'static str, &'static str, Vec<Queue<'static>>, Vec<Client<'static>>), (Result<Vec<u32>, String>,)>;

/// Where the functions lie in the component.
struct Places {
    validate: ComponentExportIndex,
    work: Work<ComponentExportIndex, ComponentExportIndex>,
    /// What the batches of a filter have to hold.
    wants: u32,
}

/// What a plugin does beside judging arguments.
enum Work<M, A> {
    Matches(M),
    Allocate(A),
}

/// The functions of one instance.
struct Functions {
    validate: Validate,
    work: Work<Matches, Allocate>,
}

/// A plugin that was compiled and has started once.
pub struct LoadedPlugin {
    instance: InstancePre<Bounds>,
    places: Places,
    limits: Limits,
    version: String,
    digest: String,
    size: usize,
    /// The instance that it was tried with.
    first: Option<Warm>,
}

/// A running instance of a plugin.
pub(crate) struct Warm {
    sandbox: Sandbox,
    functions: Functions,
}

impl LoadedPlugin {
    /// Starts a compiled component, and asks it what it says of itself.
    pub(crate) fn start(
        component: &Component,
        instance: InstancePre<Bounds>,
        (kind, interface): (Kind, &str),
        limits: Limits,
        digest: String,
        size: usize,
    ) -> Result<Self, LoadError> {
        let parent = component.get_export_index(None, interface);
        let place = |function: &'static str| {
            let missing = || LoadError::Function { function, why: "it is not there".to_owned() };
            component.get_export_index(parent.as_ref(), function).ok_or_else(missing)
        };
        let mut sandbox = Sandbox::start(&instance, &limits).map_err(LoadError::Start)?;
        let version = sandbox.function::<(), (String,)>("version", &place("version")?)?;
        let (version,) = sandbox.call(&version, (), limits.fuel).0.map_err(LoadError::Start)?;
        let (work, wants) = match kind {
            Kind::Filter => {
                let wanted = sandbox.function::<(), (u32,)>("wants", &place("wants")?)?;
                let (wanted,) = sandbox.call(&wanted, (), limits.fuel).0.map_err(LoadError::Start)?;
                if wanted & !wants::KNOWN != 0 {
                    return Err(LoadError::Wants(wanted & !wants::KNOWN));
                }
                (Work::Matches(place("matches")?), wanted)
            }
            Kind::Allocator => (Work::Allocate(place("allocate")?), 0),
        };
        let places = Places { validate: place("validate")?, work, wants };
        let first = Some(places.warm(sandbox)?);
        Ok(Self { instance, places, limits, version: first_words(&version, 64), digest, size, first })
    }

    /// What it does.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.places.work {
            Work::Matches(_) => Kind::Filter,
            Work::Allocate(_) => Kind::Allocator,
        }
    }

    /// The version that it gives itself; may be empty.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// SHA-256 of its file, in hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Bytes of its file.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What its batches have to hold.
    pub(crate) const fn wants(&self) -> u32 {
        self.places.wants
    }

    /// The instance that it was tried with, or a new one.
    pub(crate) fn warm(&mut self) -> Result<Warm, Failure> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        let sandbox = Sandbox::start(&self.instance, &self.limits)?;
        self.places.warm(sandbox).map_err(|error| Failure::new(error.to_string()))
    }
}

impl Places {
    fn warm(&self, mut sandbox: Sandbox) -> Result<Warm, LoadError> {
        let validate = sandbox.function("validate", &self.validate)?;
        let work = match &self.work {
            Work::Matches(place) => Work::Matches(sandbox.function("matches", place)?),
            Work::Allocate(place) => Work::Allocate(sandbox.function("allocate", place)?),
        };
        Ok(Warm { sandbox, functions: Functions { validate, work } })
    }
}

impl std::fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPlugin")
            .field("kind", &self.kind())
            .field("version", &self.version)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Warm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Warm").finish_non_exhaustive()
    }
}

/// An answer, and the fuel that it took.
pub(crate) type Asked<T> = (Result<T, Failure>, u64);

impl Warm {
    /// What the plugin says of an argument: `Ok(Err(..))` is its refusal.
    pub(crate) fn validate(&mut self, argument: &str, fuel: u64) -> Asked<Result<(), String>> {
        let (answer, fuel) = self.sandbox.call(&self.functions.validate, (argument,), fuel);
        (answer.map(|(verdict,)| verdict), fuel)
    }

    /// A bit for each message of a batch, and others that say nothing.
    pub(crate) fn matches(&mut self, batch: &Batch, fuel: u64) -> Asked<u64> {
        let Work::Matches(matches) = &self.functions.work else { return (Err(not_of_this_kind()), 0) };
        let (answer, fuel) = self.sandbox.call(matches, (batch.bytes(),), fuel);
        (answer.map(|(bits,)| bits), fuel)
    }

    /// The owner of each queue.
    pub(crate) fn allocate(&mut self, argument: &str, share: &Share<'_>, limits: &Limits) -> Asked<Vec<usize>> {
        let Work::Allocate(allocate) = &self.functions.work else { return (Err(not_of_this_kind()), 0) };
        let queues =
            share.queues.iter().map(|queue| Queue { topic: queue.topic, broker_name: queue.broker_name, queue_id: queue.queue_id });
        let clients = share.clients.iter().map(|client| Client { id: client.id, properties: client.properties });
        let parameters = (share.group, argument, queues.collect(), clients.collect());
        let (answer, fuel) = self.sandbox.call(allocate, parameters, limits.fuel);
        let owners = answer.and_then(|(answer,)| match answer {
            Ok(owners) => partition(owners, share),
            Err(words) => Err(Failure::new(format!("it says: {}", first_words(&words, limits.text)))),
        });
        (owners, fuel)
    }
}

/// The owners, if each queue has one of the clients as its owner.
fn partition(owners: Vec<u32>, share: &Share<'_>) -> Result<Vec<usize>, Failure> {
    let (queues, clients) = (share.queues.len(), share.clients.len());
    if owners.len() != queues {
        return Err(Failure::new(format!("it named owners of {} queues, and there are {queues}", owners.len())));
    }
    let owners: Vec<usize> = owners.into_iter().map(|owner| usize::try_from(owner).unwrap_or(usize::MAX)).collect();
    match owners.iter().position(|&owner| owner >= clients) {
        Some(at) => {
            let (owner, queue) = (owners[at], share.queues[at]);
            let queue = format!("{} of {} on {}", queue.queue_id, queue.topic, queue.broker_name);
            Err(Failure::new(format!("it gives queue {queue} to client {owner}, and there are {clients}")))
        }
        None => Ok(owners),
    }
}

fn not_of_this_kind() -> Failure {
    Failure::new("it has no such function")
}
