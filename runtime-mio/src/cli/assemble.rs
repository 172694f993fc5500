//! From arguments, file, environment and machine to what a process serves.

use std::path::{Path, PathBuf};

use super::{Role, ServerArgs};
use crate::{
    config::{Config, ConfigError, LiveConfig, Origin, Place},
    data_folder,
    plan::NAME_SERVER_PORT,
    server::Plan,
};

/// Where `standalone` keeps its data unless it is told.
const DATA: &str = "petrel-data";

/// The name of a broker whose machine has none that says something.
const NAMELESS: &str = "petrel";

/// Sets what the arguments ask for and answers what is to be served.
///
/// # Errors
/// All settings that cannot be worked with. What is to be remarked is in `config` also then.
pub(super) fn assemble(role: &Role, config: &mut Config) -> Result<Plan, ConfigError> {
    if role.place() == Place::Standalone {
        set_up_standalone(config)?;
    }
    let read = read_files(role, config);
    let environment = config.read_environment();
    let flags = set_flags(config, role.args());
    let mut own = Vec::new();
    let name_servers = match role {
        Role::Standalone(args) => set_name_servers(config, args.namesrv_port).map(|all| own = all),
        Role::Namesrv(_) => Ok(()),
        Role::Broker(args) => args.name_servers.as_ref().map_or(Ok(()), |list| config.set("namesrvAddr", list, Origin::Flag("--namesrv"))),
    };
    let judged = config.judge();

    // What could not be set has its default here, so that only further mistakes come out.
    let plan = match role {
        Role::Standalone(args) => plan_both(config, args.namesrv_port, &own),
        Role::Namesrv(_) => Plan::name_server(config),
        Role::Broker(_) => Plan::broker(config),
    };
    let planned = plan.as_ref().map(drop).map_err(ConfigError::clone);
    ConfigError::all([read, environment, flags, name_servers, judged, planned])?;
    plan.map(|plan| with_files(role, plan))
}

/// Reads the file that the arguments name; without one, those to which the last process wrote what requests had changed.
fn read_files(role: &Role, config: &mut Config) -> Result<(), ConfigError> {
    if let Some(file) = &role.args().config {
        return config.read(file);
    }
    // Flags say where they lie, and win over what stands there.
    let mut placed = config.clone();
    set_flags(&mut placed, role.args())?;
    let place = role.place();
    let of_broker = place.has_broker().then(|| LiveConfig::new(&placed, Place::Broker));
    let of_name_server = place.has_name_server().then(|| LiveConfig::new(&placed, Place::NameServer));
    let left = of_broker.iter().chain(&of_name_server).map(LiveConfig::file).filter(|file| file.exists());
    ConfigError::all(left.map(|file| config.read(file)).collect::<Vec<_>>())
}

/// What requests change goes to the file that the process was started with.
fn with_files(role: &Role, mut plan: Plan) -> Plan {
    if let Some(file) = &role.args().config {
        plan.broker.iter_mut().for_each(|broker| broker.live.set_file(file));
        plan.name_server.iter_mut().for_each(|name_server| name_server.live.set_file(file));
    }
    plan
}

/// What makes a broker of use at once.
fn set_up_standalone(config: &mut Config) -> Result<(), ConfigError> {
    if matches!(config.surroundings().host_name.as_deref(), None | Some("localhost")) {
        config.set("brokerName", NAMELESS, Origin::Standalone)?;
    }
    // RocketMQ's own defaults refuse a consumer that filters by SQL92 at its start, and a producer that takes a timed message back.
    for key in ["enablePropertyFilter", "recallMessageEnable"] {
        config.set(key, "true", Origin::Standalone)?;
    }
    // It may have to share a disk that others have filled.
    config.set("diskSpaceWarningLevelRatio", "98", Origin::Standalone)?;
    config.set("diskSpaceCleanForciblyRatio", "97", Origin::Standalone)?;
    set_data(config, Path::new(DATA), &Origin::Standalone)
}

fn set_flags(config: &mut Config, args: &ServerArgs) -> Result<(), ConfigError> {
    let data = args.data.as_ref().map_or(Ok(()), |data| set_data(config, data, &Origin::Flag("--data")));
    let port = args.listen_port.map_or(Ok(()), |port| config.set("listenPort", port.to_string(), Origin::Flag("--listen-port")));
    ConfigError::all([data, port])
}

/// Puts everything that is kept into one folder.
fn set_data(config: &mut Config, data: &Path, origin: &Origin) -> Result<(), ConfigError> {
    let inside = |path: PathBuf| data.join(path).to_string_lossy().into_owned();
    if config.place().has_broker() {
        config.set("storePathRootDir", inside(data_folder::STORE.into()), origin.clone())?;
    }
    if config.place().has_name_server() {
        config.set("kvConfigPath", inside(Path::new(data_folder::NAME_SERVER).join("kvConfig.json")), origin.clone())?;
    }
    Ok(())
}

/// The folder that the arguments choose for all data, if the configuration still keeps anything there.
pub(super) fn data_folder<'a>(role: &'a Role, config: &Config) -> Option<&'a Path> {
    let data = match &role.args().data {
        Some(data) => data,
        None if role.place() == Place::Standalone => Path::new(DATA),
        None => return None,
    };
    ["storePathRootDir", "kvConfigPath"].iter().any(|key| config.path(key).starts_with(data)).then_some(data)
}

/// Makes the broker register with the name server beside it, which listens on the port that the flag says, else on that of an address of
/// this machine in `namesrvAddr`, else on RocketMQ's. Its address is the first one: so [`Plan::standalone`] wants it. Answers all of them.
fn set_name_servers(config: &mut Config, flag: Option<u16>) -> Result<Vec<String>, ConfigError> {
    let mut known: Vec<String> =
        config.text("namesrvAddr").split(';').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect();
    let here = |host: &str| ["127.0.0.1", "localhost", "0.0.0.0", "[::1]"].contains(&host) || host == config.text("brokerIP1");
    let own = known.iter().position(|address| {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        here(host) && flag.is_none_or(|flag| port == flag.to_string())
    });
    let (host, port) = (own_host(config)?, flag.unwrap_or(NAME_SERVER_PORT));
    let own = own.map_or_else(|| format!("{host}:{port}"), |at| known.remove(at));
    let mut all = vec![own];
    all.append(&mut known);
    if port != 0 {
        let origin = config.origin("namesrvAddr").filter(|origin| origin.is_chosen()).cloned();
        config.set("namesrvAddr", all.join(";"), origin.unwrap_or(Origin::Standalone))?;
    }
    Ok(all)
}

fn plan_both(config: &Config, flag: Option<u16>, name_servers: &[String]) -> Result<Plan, ConfigError> {
    let mut plan = Plan::standalone(config)?;
    if flag == Some(0)
        && let (Some(name_server), Some(broker)) = (&mut plan.name_server, &mut plan.broker)
    {
        // No key can say it: the server puts the port in when the system has chosen it.
        name_server.listen.set_port(0);
        broker.machine.name_servers = name_servers.iter().map(|address| address.as_str().into()).collect();
    }
    Ok(plan)
}

/// Where the broker reaches the name server of its own process.
fn own_host(config: &Config) -> Result<String, ConfigError> {
    let bind = config.address("bindAddress")?;
    Ok(match (bind.is_unspecified(), bind.is_ipv6()) {
        (true, false) => "127.0.0.1".to_owned(),
        (true, true) => "[::1]".to_owned(),
        (false, false) => bind.to_string(),
        (false, true) => format!("[{bind}]"),
    })
}

#[cfg(test)]
mod tests;
