//! Plugins, of which RocketMQ knows nothing: 930003, 930004, 930005.

use super::ext_header;
use crate::text::Text;

ext_header! {
    /// 930003 `PETREL_INSTALL_PLUGIN`: which one; the body is its file.
    strict InstallPluginRequest<'a> {
        /// Its name.
        name: Text<'a> = "name",
        /// What becomes of messages that it fails on; left out, what was set before or the host's choice.
        policy: Option<Text<'a>> = "policy",
    }

    /// 930005 `PETREL_REMOVE_PLUGIN`: which one.
    strict PluginRequest<'a> {
        /// Its name.
        name: Text<'a> = "name",
    }

    /// 930004 `PETREL_SWITCH_PLUGIN`: which one is to be used, or not.
    strict SwitchPluginRequest<'a> {
        /// Its name.
        name: Text<'a> = "name",
        /// Whether it is to be used.
        enable: bool = "enable",
    }
}
