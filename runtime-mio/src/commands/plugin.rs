//! `petrel plugin`: what is installed, what is bound, and changes of both, through a broker or in the folder of one that may be down.

mod bindings;
mod project;
mod show;
mod target;
#[cfg(feature = "wasm")]
mod trial;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use route_core::{
    broker::{
        admin::plugins::{BindPluginRequest, PluginList},
        bindings::BindingsFile,
    },
    plugins::name,
};

use super::CommandError;
use crate::plugins::read_limited;
use target::Target;

/// See, install, switch and bind plugins: filters and allocations that run in the broker
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// Show what is installed and bound
    #[command(after_help = "\
Examples:
  petrel plugin list
  petrel plugin list --broker 10.0.0.1:10911 --json")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Show all that is known of a plugin
    Info {
        /// The plugin
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Install a plugin, or a new version of one; a file that cannot be used is refused, and the version before stays
    #[command(after_help = "\
Examples:
  petrel plugin install json-fields.wasm
  petrel plugin install build/filter.wasm --name big-orders --policy withhold
  petrel plugin install json-fields.wasm --data petrel-data")]
    Install {
        /// The file, a WebAssembly component
        file: PathBuf,
        /// Its name [default: that of the file]
        #[arg(long, value_parser = plugin_name)]
        name: Option<String>,
        /// What becomes of messages that it fails on: deliver or withhold, perhaps with ,disable-after=N behind it
        #[arg(long)]
        policy: Option<String>,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Let a plugin work again
    Enable {
        /// The plugin
        #[arg(value_parser = plugin_name)]
        name: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Switch a plugin off and keep it; who subscribes by it is refused
    Disable {
        /// The plugin
        #[arg(value_parser = plugin_name)]
        name: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Take a plugin away
    Remove {
        /// The plugin
        #[arg(value_parser = plugin_name)]
        name: String,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Let a plugin filter all that a group or of a topic is read, or share out a group's queues
    #[command(after_help = "\
Examples:
  petrel plugin bind json-fields --group readers --argument 'price > 10'
  petrel plugin bind schema --topic Orders
  petrel plugin bind gray --group readers --allocator --argument 20
  petrel plugin bind AVG_BY_CIRCLE --group readers --allocator")]
    Bind {
        /// The plugin, or with --allocator a built-in strategy
        name: String,
        /// What the plugin is given
        #[arg(long, default_value = "")]
        argument: String,
        #[command(flatten)]
        bound: BoundArgs,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Run a filter over messages that are stored, and tell how many pass and what that costs
    #[cfg(feature = "wasm")]
    #[command(after_help = "\
Examples:
  petrel plugin test json-fields.wasm --data petrel-data --topic Orders --argument 'price > 10'
  petrel plugin test json-fields.wasm --data petrel-data --topic Orders --from 2026-11-22T19:30 --matches")]
    Test(trial::Args),
    /// Take back what is bound to a group or a topic
    Unbind {
        #[command(flatten)]
        bound: BoundArgs,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Write a project of a new plugin, which `cargo build --release` builds
    #[command(after_help = "\
Examples:
  petrel plugin new big-orders --filter
  petrel plugin new gray --allocator")]
    New {
        /// Its name, which is also that of its folder
        #[arg(value_parser = project_name)]
        name: String,
        #[command(flatten)]
        kind: KindArgs,
    },
}

/// What a new plugin does.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct KindArgs {
    /// It filters messages
    #[arg(long)]
    filter: bool,
    /// It shares out queues
    #[arg(long)]
    allocator: bool,
}

/// Where a broker listens unless it is told otherwise.
const DEFAULT_BROKER: &str = "127.0.0.1:10911";

/// Whose plugins.
#[derive(Clone, Debug, clap::Args)]
struct PlaceArgs {
    /// The broker, HOST:PORT; changes are taken from its own machine
    #[arg(short, long, value_name = "HOST:PORT", default_value = DEFAULT_BROKER)]
    broker: String,
    /// Work in the folder of a broker instead, which may be down; one that runs takes plugins over within seconds, and bindings not at all
    #[arg(long, value_name = "DIR", conflicts_with = "broker")]
    data: Option<PathBuf>,
}

/// What something is bound to.
#[derive(Clone, Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct BoundArgs {
    /// The group
    #[arg(long, conflicts_with = "topic")]
    group: Option<String>,
    /// The topic
    #[arg(long)]
    topic: Option<String>,
    /// The queues of the group are to be shared out by it
    #[arg(long, requires = "group")]
    allocator: bool,
}

fn plugin_name(text: &str) -> Result<String, String> {
    name::validate(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// A plugin's name that is also one of a crate.
fn project_name(text: &str) -> Result<String, String> {
    let name = plugin_name(text)?;
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { Ok(name) } else { Err("a crate's name begins with a letter".to_owned()) }
}

/// Does what the arguments say.
///
/// # Errors
/// [`CommandError`]
pub fn run(args: Args) -> Result<(), CommandError> {
    let out = &mut io::stdout().lock();
    match args.command {
        Command::List { json, place } => show::list(out, &Target::open(place)?.list()?, json),
        Command::Info { name, json, place } => {
            let list = Target::open(place)?.list()?;
            let known = only(&list, &name).ok_or_else(|| CommandError::Usage(format!("no plugin is called '{name}' there")))?;
            show::info(out, &known, json)
        }
        Command::Install { file, name, policy, place } => {
            let name = name.map_or_else(|| name_of(&file), Ok)?;
            let content = read(&file)?;
            let plugin = Target::open(place)?.install(&name, &content, policy.as_deref().unwrap_or_default())?;
            show::installed(out, &name, plugin.as_ref())
        }
        Command::Enable { name, place } => {
            Target::open(place)?.switch(&name, true)?;
            show::done(out, &name, "enabled")
        }
        Command::Disable { name, place } => {
            Target::open(place)?.switch(&name, false)?;
            show::done(out, &name, "disabled")
        }
        Command::Remove { name, place } => {
            let mut target = Target::open(place)?;
            let bound = only(&target.list()?, &name);
            target.remove(&name)?;
            show::done(out, &name, "removed").and_then(|()| bound.map_or(Ok(()), |bound| show::left_bound(out, &bound)))
        }
        Command::Bind { name, argument, bound, place } => {
            let BoundArgs { group, topic, allocator } = bound;
            Target::open(place)?.bind(&BindPluginRequest { allocator, argument, group, plugin: Some(name.clone()), topic })?;
            show::done(out, &name, "bound")
        }
        #[cfg(feature = "wasm")]
        Command::Test(args) => return trial::run(out, &args),
        Command::Unbind { bound, place } => {
            let BoundArgs { group, topic, allocator } = bound;
            let mut target = Target::open(place)?;
            let request = BindPluginRequest { allocator, group, topic, ..BindPluginRequest::default() };
            if !is_bound(&target.list()?.bindings, &request) {
                let name = request.group.or(request.topic).unwrap_or_default();
                return Err(CommandError::Usage(format!(
                    "nothing of that kind is bound to '{name}'; `petrel plugin list` shows what is bound"
                )));
            }
            target.bind(&request)?;
            writeln!(out, "unbound")
        }
        Command::New { name, kind } => {
            let template = if kind.filter { project::Template::Filter } else { project::Template::Allocator };
            let failed = |source| CommandError::System { what: "the project cannot be written", source };
            if Path::new(&name).exists() {
                return Err(CommandError::Usage(format!("'{name}' is there already: take another name, or move it away")));
            }
            project::write(Path::new("."), &name, template).map_err(failed)?;
            show::project(out, &name)
        }
    }
    .or_else(|error| match error.kind() {
        // Whoever reads has seen enough.
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(CommandError::Output(error)),
    })
}

/// The name that a file gives its plugin.
fn name_of(file: &Path) -> Result<String, CommandError> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let wrong = |error: name::NameError| CommandError::Usage(format!("{}: {error}; give it a name with --name", file.display()));
    name::validate(stem).map(|()| stem.to_owned()).map_err(wrong)
}

fn read(file: &Path) -> Result<Vec<u8>, CommandError> {
    read_limited(file).map_err(|source| CommandError::System { what: "the file of the plugin cannot be read", source })
}

/// Whether what a request names is bound to something.
fn is_bound(bindings: &BindingsFile, request: &BindPluginRequest) -> bool {
    match (&request.group, &request.topic) {
        (Some(group), _) if request.allocator => bindings.group_allocators.contains_key(group),
        (Some(group), _) => bindings.group_filters.contains_key(group),
        (None, Some(topic)) => bindings.topic_filters.contains_key(topic),
        (None, None) => false,
    }
}

/// A list with one plugin's entries alone.
fn only(list: &PluginList, name: &str) -> Option<PluginList> {
    let plugin = list.plugins.iter().find(|plugin| plugin.name == name)?.clone();
    let mut bindings = list.bindings.clone();
    bindings.group_allocators.retain(|_, bound| name::split_argument(bound).0 == name);
    bindings.group_filters.retain(|_, bound| bound.plugin == name);
    bindings.topic_filters.retain(|_, bound| bound.plugin == name);
    Some(PluginList { bindings, plugins: vec![plugin] })
}
