//! What compiling a file will take, guessed before it is begun: it cannot be stopped half-way, and a file of some megabytes can keep the compiler
//! at work for minutes.

use wasmparser::{FunctionBody, Operator, Parser, Payload};

use crate::failure::LoadError;

/// A function by itself, in instructions.
const FUNCTION: u64 = 250;

/// What is known of the module that is being read.
#[derive(Default)]
struct Reading {
    /// Parameters of each type of function.
    types: Vec<u64>,
    /// The type of each function that has a body, in their order.
    functions: std::collections::VecDeque<u32>,
}

/// Refuses a module or a component that would take too long. The guess is made of what takes the time: instructions, functions, and for each branch
/// the variables that may come from either side.
///
/// # Errors
/// [`LoadError::Effort`]. What cannot be read is no matter here: it will be refused with better words.
pub(crate) fn check(binary: &[u8], limit: u64) -> Result<(), LoadError> {
    let effort = guess(binary);
    if effort > limit { Err(LoadError::Effort { effort, limit }) } else { Ok(()) }
}

fn guess(binary: &[u8]) -> u64 {
    let (mut effort, mut reading) = (0_u64, Reading::default());
    for payload in Parser::new(0).parse_all(binary) {
        let Ok(payload) = payload else { break };
        match payload {
            // Another module of a component begins.
            Payload::Version { .. } => reading = Reading::default(),
            Payload::TypeSection(section) => {
                let types = section.into_iter_err_on_gc_types().map_while(Result::ok);
                reading.types.extend(types.map(|kind| kind.params().len() as u64));
            }
            Payload::FunctionSection(section) => reading.functions.extend(section.into_iter().map_while(Result::ok)),
            Payload::CodeSectionEntry(body) => {
                let kind = reading.functions.pop_front().and_then(|kind| usize::try_from(kind).ok());
                let parameters = kind.and_then(|kind| reading.types.get(kind)).copied().unwrap_or(0);
                effort = effort.saturating_add(of_function(&body, parameters));
            }
            _ => {}
        }
    }
    effort
}

fn of_function(body: &FunctionBody<'_>, parameters: u64) -> u64 {
    let locals = body.get_locals_reader().into_iter().flatten().map_while(Result::ok).map(|(count, _)| u64::from(count)).sum::<u64>();
    let (mut instructions, mut branches) = (0_u64, 0_u64);
    for operator in body.get_operators_reader().into_iter().flatten().map_while(Result::ok) {
        instructions += 1;
        branches += match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } | Operator::Else | Operator::BrIf { .. } => 1,
            Operator::BrTable { targets } => 1 + u64::from(targets.len()),
            _ => 0,
        };
    }
    (FUNCTION + instructions).saturating_add(branches.saturating_mul(1 + locals.saturating_add(parameters)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> u64 {
        guess(&wat::parse_str(text).unwrap())
    }

    #[test]
    fn instructions_functions_and_variables_at_branches_count() {
        assert_eq!(of("(module)"), 0);
        assert_eq!(of("(module (func nop nop))"), FUNCTION + 3);
        assert_eq!(of("(module (func) (func))"), 2 * (FUNCTION + 1));
        let branching = "(module (func (param i32 i32) (local i32 i64 f32) (loop (br_if 0 (i32.const 0)))))";
        assert_eq!(of(branching), FUNCTION + 5 + 2 * 6);
        let table = "(module (func (block (br_table 0 0 0 0 (i32.const 0)))))";
        assert_eq!(of(table), FUNCTION + 5 + 5);
    }

    #[test]
    fn all_modules_of_a_component_count_and_what_cannot_be_read_does_not() {
        assert_eq!(of("(component (core module (func)) (core module (func (param i32) (block)))) "), 2 * FUNCTION + 1 + 3 + 2);
        assert_eq!(guess(b"\0asm\x01\0\0\0\x0a\xff"), 0);
        assert_eq!(guess(b"nothing"), 0);
    }
}
