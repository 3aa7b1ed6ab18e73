//! Components that cost as much as they can before they are ever called.

use crate::Result;
use crate::guests::guest;

/// The guest of that name with a core module added to it, which is instantiated so often.
///
/// # Errors
/// If the guest does not build.
pub fn grafted(name: &str, module: &[u8], instances: usize) -> Result<Vec<u8>> {
    const MODULE: u8 = 1;
    const INSTANCES: u8 = 2;
    let mut component = std::fs::read(guest(name)?)?;
    let index = sections(&component).filter(|id| *id == MODULE).count();
    component.extend(section(MODULE, module));
    if instances > 0 {
        // Of that module, without arguments.
        let one = [vec![0], number(index), vec![0]].concat();
        component.extend(section(INSTANCES, &[number(instances), one.repeat(instances)].concat()));
    }
    Ok(component)
}

/// The kinds of the sections of a component.
fn sections(component: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = component.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (id, mut after) = rest.split_first()?;
        let (mut length, mut shift) = (0_usize, 0);
        while let Some((byte, next)) = after.split_first() {
            length |= usize::from(byte & 0x7f) << shift;
            (after, shift) = (next, shift + 7);
            if byte & 0x80 == 0 {
                break;
            }
        }
        rest = after.get(length..).unwrap_or_default();
        Some(*id)
    })
}

/// A core module of functions that cost a compiler as much as they can for their size: hundreds of branches and few locals.
pub fn bomb(functions: usize, steps: usize) -> Vec<u8> {
    // No locals but the eight parameters.
    let mut body = vec![0];
    for step in 0..steps {
        let (from, to) = ((step * 7 % 8) as u8, (step * 5 % 8) as u8);
        // Unless `from` is zero: to = to * from % (step + 1)
        body.extend([0x02, 0x40, 0x20, from, 0x50, 0x0d, 0, 0x20, to, 0x20, from, 0x7e, 0x42]);
        // A signed number: one more byte, so that none reads as negative.
        body.extend(number((step % 0x1000 + 1) | 0x2000 << 7));
        body.extend([0x82, 0x21, to, 0x0b]);
    }
    body.extend([0x20, 3, 0x0b]);
    let kind = [vec![1, 0x60, 8], vec![0x7e; 8], vec![1, 0x7e]].concat();
    let declared = [number(functions), vec![0; functions]].concat();
    let code = [number(body.len()), body].concat();
    let bodies = [number(functions), code.repeat(functions)].concat();
    [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &kind),
        section(3, &declared),
        section(10, &bodies),
    ]
    .concat()
}

/// A component whose one type is a component type in a component type and so on: whatever reads it needs stack for each.
pub fn nested(levels: usize) -> Vec<u8> {
    let kind = [vec![1], [0x41, 1, 1].repeat(levels), vec![0x41, 0]].concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(7, &kind)].concat()
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], number(content.len()).as_slice(), content].concat()
}

/// LEB128.
fn number(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n > 0x7f {
        bytes.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}
