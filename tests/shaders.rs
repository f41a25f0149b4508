//! Every shader through naga, and the table of kernels held to what the shaders declare.

use std::collections::BTreeSet;
use std::path::Path;

use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, Expression, Literal, Module, StorageAccess, TypeInner};
use unmasked::device::kernels::{Access, CACHE_BINDINGS, KERNELS, Kernel, header};

fn parse(kernel: &Kernel) -> Module {
    naga::front::wgsl::parse_str(kernel.source)
        .unwrap_or_else(|error| panic!("{}", error.emit_to_string(kernel.source)))
}

#[test]
fn every_shader_is_valid() {
    for kernel in KERNELS {
        let module = parse(kernel);
        let capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        if let Err(error) = Validator::new(ValidationFlags::all(), capabilities).validate(&module) {
            panic!("{}: {}", kernel.name, error.emit_to_string(kernel.source));
        }
    }
}

#[test]
fn every_file_is_a_kernel() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the shaders' folder")
        .map(|file| file.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    let kernels = KERNELS.iter().map(|kernel| format!("{}.wgsl", kernel.name)).collect();
    assert_eq!(files, kernels);
}

/// Name and use of a shader's bindings of one group, by number.
fn bindings(module: &Module, group: u32) -> Vec<(String, Access)> {
    let mut found: Vec<_> = module
        .global_variables
        .iter()
        .filter_map(|(_, variable)| {
            let place = variable.binding.as_ref().filter(|place| place.group == group)?;
            let access = match variable.space {
                AddressSpace::Uniform => Access::Uniform,
                AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => {
                    Access::Write
                }
                AddressSpace::Storage { .. } => Access::Read,
                AddressSpace::Handle => Access::Texels,
                other => panic!("a binding in {other:?}"),
            };
            Some((place.binding, variable.name.clone().unwrap_or_default(), access))
        })
        .collect();
    found.sort_by_key(|(binding, ..)| *binding);
    for (number, (binding, ..)) in found.iter().enumerate() {
        assert_eq!(number as u32, *binding, "bindings are numbered without gaps");
    }
    found.into_iter().map(|(_, name, access)| (name, access)).collect()
}

#[test]
fn bindings_are_those_of_the_table() {
    let owned = |list: &[(&str, Access)]| -> Vec<(String, Access)> {
        list.iter().map(|(name, access)| (name.to_string(), *access)).collect()
    };
    for kernel in KERNELS {
        let module = parse(kernel);
        assert_eq!(bindings(&module, 0), owned(kernel.bindings), "{}", kernel.name);
        let cache = if kernel.cache { owned(&CACHE_BINDINGS) } else { vec![] };
        assert_eq!(bindings(&module, 1), cache, "{}", kernel.name);
        let all = kernel.bindings.iter().chain(&CACHE_BINDINGS[..2 * kernel.cache as usize]);
        let storage = all.filter(|(_, access)| matches!(access, Access::Read | Access::Write));
        let storage = storage.count();
        assert!(storage <= 8, "{}: WebGPU promises 8 storage buffers, not {storage}", kernel.name);
    }
}

#[test]
fn parameters_are_those_of_the_table() {
    for kernel in KERNELS {
        let module = parse(kernel);
        let (_, params) = module
            .types
            .iter()
            .find(|(_, ty)| ty.name.as_deref() == Some("Params"))
            .unwrap_or_else(|| panic!("{} has no Params", kernel.name));
        let TypeInner::Struct { members, .. } = &params.inner else {
            panic!("Params of {} is no struct", kernel.name)
        };
        let names: Vec<_> = members.iter().filter_map(|member| member.name.as_deref()).collect();
        assert_eq!(names, kernel.params, "{}", kernel.name);
        for (index, member) in members.iter().enumerate() {
            assert_eq!(member.offset, 4 * index as u32, "{}: a word each", kernel.name);
        }
    }
}

/// Every shader names the words of the play's header for itself; none may name them wrongly.
#[test]
fn headers_are_read_where_they_are_written() {
    for kernel in KERNELS {
        let module = parse(kernel);
        for (_, constant) in module.constants.iter() {
            let Some(name) = constant.name.as_deref() else { continue };
            if !name.starts_with("PLAY_") && name != "NONE" {
                continue;
            }
            let Expression::Literal(Literal::U32(value)) = module.global_expressions[constant.init]
            else {
                panic!("{}: `{name}` is no u32", kernel.name)
            };
            let expected = header::ALL.iter().find(|(have, _)| *have == name);
            assert_eq!(Some(value as usize), expected.map(|e| e.1), "{}: {name}", kernel.name);
        }
    }
}

/// What several shaders need is written out in each: WGSL has no include. It stays equal.
#[test]
fn functions_of_one_name_are_one_text() {
    let mut known: Vec<(&str, &str, &str)> = vec![];
    let mut shared = BTreeSet::new();
    for kernel in KERNELS {
        for function in kernel.source.split("\nfn ").skip(1) {
            let name = function.split('(').next().unwrap_or_default();
            let text = function.split("\n}").next().unwrap_or_default();
            if name == "main" {
                continue;
            }
            match known.iter().find(|(have, ..)| *have == name) {
                Some((_, first, have)) => {
                    assert_eq!(*have, text, "`{name}` in {first} and {}", kernel.name);
                    shared.insert(name);
                }
                None => known.push((name, kernel.name, text)),
            }
        }
    }
    let expected = ["activate", "erf", "finish", "four", "input", "sigmoid", "texel"];
    assert!(expected.iter().all(|name| shared.contains(name)), "{shared:?}");
}
