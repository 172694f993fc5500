//! Delivers messages whose JSON body has the fields that the argument lists, each of its type: `id:number,name:string,tags:array`. Types are
//! `string`, `number`, `boolean`, `object`, `array`, `any`; a field with `?` behind its name may be missing. The way to an inner field has dots.

use petrel_plugin_sdk::{Filter, Message, Wants};
use serde_json::Value;

#[derive(Clone, Copy)]
enum Type {
    String,
    Number,
    Boolean,
    Object,
    Array,
    Any,
}

struct Field {
    pointer: String,
    optional: bool,
    is: Type,
}

struct Schema(Vec<Field>);

impl Filter for Schema {
    const WANTS: Wants = Wants::BODY;

    fn new(argument: &str) -> Result<Self, String> {
        let field = |text: &str| {
            let (name, is) = text.split_once(':').ok_or_else(|| format!("'{text}' is no field: write name:type"))?;
            let is = match is.trim() {
                "string" => Type::String,
                "number" => Type::Number,
                "boolean" => Type::Boolean,
                "object" => Type::Object,
                "array" => Type::Array,
                "any" => Type::Any,
                other => return Err(format!("'{other}' is no type: string, number, boolean, object, array or any")),
            };
            let name = name.trim();
            let (name, optional) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
            Ok(Field { pointer: format!("/{}", name.replace('.', "/")), optional, is })
        };
        argument.split(',').map(field).collect::<Result<_, _>>().map(Self)
    }

    fn matches(&self, message: &Message<'_>) -> bool {
        let Ok(body) = serde_json::from_slice::<Value>(message.body()) else { return false };
        self.0.iter().all(|field| match (body.pointer(&field.pointer), field.is) {
            (None, _) => field.optional,
            (Some(Value::String(_)), Type::String)
            | (Some(Value::Number(_)), Type::Number)
            | (Some(Value::Bool(_)), Type::Boolean)
            | (Some(Value::Object(_)), Type::Object)
            | (Some(Value::Array(_)), Type::Array)
            | (Some(_), Type::Any) => true,
            (Some(_), _) => false,
        })
    }
}

petrel_plugin_sdk::filter!(Schema);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_field_or_no_type_is_refused() {
        for argument in ["", "id", "id:int"] {
            assert!(Schema::new(argument).is_err(), "{argument}");
        }
        assert!(Schema::new("id:number, note?:string").is_ok());
    }
}
