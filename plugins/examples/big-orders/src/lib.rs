//! Delivers messages whose property `amount` is at least the argument of the subscription.

use petrel_plugin_sdk::{Filter, Message};

struct AtLeast(u64);

impl Filter for AtLeast {
    fn new(argument: &str) -> Result<Self, String> {
        argument.parse().map(Self).map_err(|_| format!("'{argument}' is no number"))
    }

    fn matches(&self, message: &Message<'_>) -> bool {
        message.property("amount").and_then(|amount| amount.parse().ok()).is_some_and(|amount: u64| amount >= self.0)
    }
}

petrel_plugin_sdk::filter!(AtLeast);
