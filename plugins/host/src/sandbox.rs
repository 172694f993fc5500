//! One running instance of a plugin: a memory of its own, and a stop for each call.

use wasmtime::{
    ResourceLimiter, Store,
    component::{ComponentExportIndex, Instance, InstancePre, TypedFunc},
};

use crate::{
    failure::{Failure, LoadError, OutOfBounds},
    limits::Limits,
};

/// Says no when an instance grows beyond its limits.
#[derive(Debug)]
pub(crate) struct Bounds {
    memory: usize,
    table_elements: usize,
}

impl ResourceLimiter for Bounds {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.memory {
            let words = format!("it wants {desired} bytes of memory, and may have {} (limit: memory)", self.memory);
            return Err(OutOfBounds(words).into());
        }
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.table_elements {
            let words = format!("it wants a table of {desired} elements, and may have {} (limit: table_elements)", self.table_elements);
            return Err(OutOfBounds(words).into());
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        16
    }

    fn tables(&self) -> usize {
        4
    }

    fn memories(&self) -> usize {
        1
    }
}

/// An instance that can be called. Once a call has failed it is in nobody knows what state, and has to be thrown away.
pub(crate) struct Sandbox {
    store: Store<Bounds>,
    instance: Instance,
    limits: Limits,
}

impl Sandbox {
    /// Starts an instance, which runs what it does at its start.
    pub(crate) fn start(pre: &InstancePre<Bounds>, limits: &Limits) -> Result<Self, Failure> {
        let bounds = Bounds { memory: limits.memory, table_elements: limits.table_elements };
        let mut store = Store::new(pre.engine(), bounds);
        store.limiter(|bounds| bounds);
        let failed = |error: &wasmtime::Error| Failure::of(error, limits);
        store.set_fuel(limits.fuel).map_err(|error| failed(&error))?;
        let instance = pre.instantiate(&mut store).map_err(|error| failed(&error))?;
        Ok(Self { store, instance, limits: *limits })
    }

    /// The function at this place, if it has these parameters and results.
    pub(crate) fn function<P, R>(&mut self, name: &'static str, at: &ComponentExportIndex) -> Result<TypedFunc<P, R>, LoadError>
    where
        P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower,
        R: wasmtime::component::ComponentNamedList + wasmtime::component::Lift,
    {
        self.instance
            .get_typed_func(&mut self.store, at)
            .map_err(|error| LoadError::Function { function: name, why: crate::failure::first_words(&format!("{error:#}"), 300) })
    }

    /// Calls a function with so much fuel; says also how much of it was used.
    pub(crate) fn call<P, R>(&mut self, function: &TypedFunc<P, R>, parameters: P, fuel: u64) -> (Result<R, Failure>, u64)
    where
        P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower,
        R: wasmtime::component::ComponentNamedList + wasmtime::component::Lift,
    {
        let limits = Limits { fuel, ..self.limits };
        if let Err(error) = self.store.set_fuel(fuel) {
            return (Err(Failure::of(&error, &limits)), 0);
        }
        let answer = function.call(&mut self.store, parameters).map_err(|error| Failure::of(&error, &limits));
        (answer, fuel - self.store.get_fuel().unwrap_or(0).min(fuel))
    }
}
