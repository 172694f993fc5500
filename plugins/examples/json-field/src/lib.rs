//! Delivers messages whose JSON body has a field of a given value: the argument `order.status=paid` takes `{"order":{"status":"paid"}}`.
//! Several conditions, separated by commas, have to hold together; `field!=value` takes bodies in which the field is there and is another.

use petrel_plugin_sdk::{Filter, Message, Wants};
use serde_json::Value;

struct Condition {
    /// The way to the field, as serde_json takes it: `/order/status`.
    pointer: String,
    value: String,
    equal: bool,
}

struct JsonField(Vec<Condition>);

impl Filter for JsonField {
    const WANTS: Wants = Wants::BODY;

    fn new(argument: &str) -> Result<Self, String> {
        let condition = |text: &str| {
            let (field, value) =
                text.split_once('=').ok_or_else(|| format!("'{text}' is no condition: write field=value or field!=value"))?;
            let (field, equal) = field.strip_suffix('!').map_or((field, true), |field| (field, false));
            if field.trim().is_empty() {
                return Err(format!("'{text}' names no field"));
            }
            Ok(Condition { pointer: format!("/{}", field.trim().replace('.', "/")), value: value.trim().to_owned(), equal })
        };
        argument.split(',').map(condition).collect::<Result<_, _>>().map(Self)
    }

    fn matches(&self, message: &Message<'_>) -> bool {
        let Ok(body) = serde_json::from_slice::<Value>(message.body()) else { return false };
        self.0.iter().all(|condition| match body.pointer(&condition.pointer) {
            Some(Value::String(text)) => (*text == condition.value) == condition.equal,
            Some(other) => (other.to_string() == condition.value) == condition.equal,
            None => false,
        })
    }
}

petrel_plugin_sdk::filter!(JsonField);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_without_a_condition_is_refused() {
        for argument in ["", "status", "=paid", "a=1,b"] {
            assert!(JsonField::new(argument).is_err(), "{argument}");
        }
        assert!(JsonField::new("order.status=paid, order.amount!=0").is_ok());
    }
}
