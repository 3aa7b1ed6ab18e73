//! The data of a module that has started.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{DataSection, Module, RawSection};
use wasmparser::{DataKind, Parser, Payload};

/// The module without the data segments that its start has consumed. Go's linker creates tens of thousands, and each
/// instance has an entry for each remaining one. Unchanged if instructions refer to segments by index.
pub(super) fn without_spent(module: &[u8]) -> Result<Vec<u8>, String> {
    let mut encoder = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.map_err(|fault| fault.to_string())? {
            // Those instructions need this section.
            Payload::DataCountSection { .. } => return Ok(module.to_vec()),
            Payload::DataSection(segments) => {
                let mut left = DataSection::new();
                for segment in segments {
                    let segment = segment.map_err(|fault| fault.to_string())?;
                    if matches!(segment.kind, DataKind::Active { .. }) {
                        RoundtripReencoder
                            .parse_data(&mut left, segment)
                            .map_err(|fault| fault.to_string())?;
                    }
                }
                encoder.section(&left);
            }
            other => {
                let section = other.as_section();
                if let Some((id, data)) = section.and_then(|(id, range)| Some((id, module.get(range)?))) {
                    encoder.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(encoder.finish())
}

#[cfg(test)]
mod tests {
    use super::without_spent;

    #[test]
    fn segments_that_nothing_names_are_left_out() {
        let text = r#"(module (memory 1) (data "") (data (i32.const 3) "kept") (data "spent")
            (func (export "one") (result i32) (i32.const 1)))"#;
        let module = without_spent(&wat::parse_str(text).unwrap()).unwrap();
        let kept = r#"(module (memory 1) (data (i32.const 3) "kept")
            (func (export "one") (result i32) (i32.const 1)))"#;
        assert_eq!(module, wat::parse_str(kept).unwrap());

        let named = wat::parse_str(
            r#"(module (memory 1) (data "named")
            (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1))))"#,
        );
        let named = named.unwrap();
        assert_eq!(without_spent(&named).unwrap(), named);
    }
}
