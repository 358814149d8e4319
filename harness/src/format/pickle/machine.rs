//! The stack machine of pickle protocols 0 to 5, without anything that runs code.

use std::collections::HashMap;

use super::arena::{Arena, Chain, Node, NodeId, Span};
use super::cursor::Cursor;
use super::numpy::{self, Function};
use super::{literal, refused, torch};
use crate::format::flaw::Flaw;

/// What a pickle may hold, as errors say it.
pub(crate) const PLAIN: &str = "plain values and NumPy arrays";
/// Latest protocol there is.
const LATEST: u8 = 5;

/// Bytes of heap that are held when `bytes` cannot be followed any further.
#[cfg(test)]
pub(super) fn heap_bytes(bytes: &[u8]) -> usize {
    let mut machine = Machine::new(bytes, 0, Dialect::Numpy);
    while machine.step().is_ok_and(|ended| !ended) {}
    let ids = machine.stack.capacity() + 4 * machine.memo.capacity();
    let marks = machine.marks.capacity() * size_of::<usize>();
    machine.arena.heap_bytes() + ids * size_of::<NodeId>() + marks
}

/// Runs the pickle `bytes`, which lies at byte `start` of its file, to its end.
///
/// # Errors
/// [`Flaw`] at the first opcode that cannot be followed.
pub(super) fn run(bytes: &[u8], start: usize, dialect: Dialect) -> Result<(Arena, NodeId), Flaw> {
    let (arena, root, n_bytes) = run_first(bytes, start, dialect)?;
    match bytes.len() - n_bytes {
        0 => Ok((arena, root)),
        left => {
            let found = format!("{left} more bytes");
            Err(Flaw::new(start + n_bytes, "the end of the pickle", found))
        }
    }
}

/// Runs the pickle that `bytes` begins with; its length is given too.
///
/// # Errors
/// [`Flaw`] at the first opcode that cannot be followed.
pub(super) fn run_first(
    bytes: &[u8],
    start: usize,
    dialect: Dialect,
) -> Result<(Arena, NodeId, usize), Flaw> {
    let mut machine = Machine::new(bytes, start, dialect);
    while !machine.step()? {}
    let root = machine.pop()?;
    if !machine.stack.is_empty() || !machine.marks.is_empty() {
        let found = format!("{} more and {} marks", machine.stack.len(), machine.marks.len());
        return Err(Flaw::new(machine.at, "one value at the end", found));
    }
    let n_bytes = bytes.len() - machine.cursor.left();
    Ok((machine.arena, root, n_bytes))
}

/// Whose functions and classes a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// NumPy's.
    Numpy,
    /// NumPy's and PyTorch's, with values that lie outside of the pickle.
    Torch,
}

struct Machine<'a> {
    bytes: &'a [u8],
    cursor: Cursor<'a>,
    arena: Arena,
    /// Byte of the file of the opcode that is followed.
    at: usize,
    stack: Vec<NodeId>,
    /// Heights of the stack.
    marks: Vec<usize>,
    /// By index; a map, because an index may be any number.
    memo: HashMap<u32, NodeId>,
    /// What `_codecs encode` made of a text, so that it looks at each only once.
    encoded: HashMap<NodeId, NodeId>,
    dialect: Dialect,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8], start: usize, dialect: Dialect) -> Self {
        Self {
            bytes,
            cursor: Cursor::new(bytes, start),
            arena: Arena::new(bytes.len()),
            at: start,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            encoded: HashMap::new(),
            dialect,
        }
    }

    /// Follows one opcode; `true` for the last one.
    fn step(&mut self) -> Result<bool, Flaw> {
        self.at = self.cursor.at();
        let [opcode] = self.cursor.array("an opcode")?;
        match opcode {
            b'.' => return Ok(true),
            b'(' => self.marks.push(self.stack.len()),
            b'0' if self.stack.len() > self.floor() => drop(self.pop()?),
            b'0' | b'1' => drop(self.pop_mark()?),
            b'2' => {
                let top = self.pop()?;
                self.stack.extend([top, top]);
            }
            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'I' | b'J' | b'K' | b'L' | b'M' | 0x8a | 0x8b | b'F' | b'G' => self.number(opcode)?,
            b'S' | b'T' | b'U' | b'V' | b'X' | 0x8c | 0x8d | b'B' | b'C' | 0x8e | 0x96 => {
                self.text(opcode)?
            }
            b')' | b'l' | b']' | b'd' | b'}' | b't' | 0x85..=0x87 => self.collection(opcode)?,
            b'a' | b'e' | b's' | b'u' => self.extend(opcode)?,
            b'p' | b'q' | b'r' | 0x94 => self.put(opcode)?,
            b'g' | b'h' | b'j' => self.get(opcode)?,
            b'c' | 0x93 | b'i' => self.global(opcode)?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'Q' if self.dialect == Dialect::Torch => self.persistent()?,
            0x80 => self.protocol()?,
            0x95 => self.frame()?,
            other => return Err(self.unknown(other)),
        }
        Ok(false)
    }

    fn flaw(&self, expected: impl Into<String>, found: impl Into<String>) -> Flaw {
        Flaw::new(self.at, expected, found)
    }

    fn unknown(&self, opcode: u8) -> Flaw {
        match refused::name(opcode) {
            Some(name) => self.flaw(PLAIN, name),
            None => self.flaw("an opcode", format!("`{}`", [opcode].escape_ascii())),
        }
    }

    fn push(&mut self, node: Node) -> Result<(), Flaw> {
        let id = self.arena.add(node, self.at)?;
        self.stack.push(id);
        Ok(())
    }

    /// Height below which nothing is popped: that of the last mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<NodeId, Flaw> {
        let above = self.stack.len() > self.floor();
        let top = if above { self.stack.pop() } else { None };
        top.ok_or_else(|| self.flaw("a value on the stack", "none"))
    }

    fn top(&self) -> Result<NodeId, Flaw> {
        let above = self.stack.get(self.floor()..).unwrap_or_default();
        let top = above.last().copied();
        top.ok_or_else(|| self.flaw("a value on the stack", "none"))
    }

    /// The values above the last mark, which goes.
    fn pop_mark(&mut self) -> Result<Vec<NodeId>, Flaw> {
        let height = self.marks.pop();
        let height = height.ok_or_else(|| self.flaw("a mark on the stack", "none"))?;
        Ok(self.stack.drain(height..).collect())
    }

    fn number(&mut self, opcode: u8) -> Result<(), Flaw> {
        let node = match opcode {
            b'J' => Node::Int(i32::from_le_bytes(self.cursor.array("an integer")?).into()),
            b'K' => Node::Int(u8::from_le_bytes(self.cursor.array("an integer")?).into()),
            b'M' => Node::Int(u16::from_le_bytes(self.cursor.array("an integer")?).into()),
            b'G' => Node::Float(f64::from_be_bytes(self.cursor.array("a float")?)),
            0x8a | 0x8b => {
                let length = match opcode {
                    0x8a => u64::from(u8::from_le_bytes(self.cursor.array("a length")?)),
                    _ => self.signed_length()?,
                };
                let range = self.cursor.take(length, "an integer")?;
                Node::Int(literal::long(self.cursor.bytes(range), self.at)?)
            }
            b'F' => {
                let line = self.cursor.line("a float")?;
                Node::Float(literal::float(self.cursor.bytes(line), self.at)?)
            }
            _ => {
                let line = self.cursor.line("an integer")?;
                match (opcode, self.cursor.bytes(line)) {
                    // So write protocols 0 and 1 what later ones have opcodes for.
                    (b'I', b"00") => Node::Bool(false),
                    (b'I', b"01") => Node::Bool(true),
                    (_, line) => Node::Int(literal::decimal(line, self.at)?),
                }
            }
        };
        self.push(node)
    }

    /// A length of four bytes with a sign.
    fn signed_length(&mut self) -> Result<u64, Flaw> {
        let length = i32::from_le_bytes(self.cursor.array("a length")?);
        u64::try_from(length).map_err(|_| self.flaw("a length", format!("{length}")))
    }

    fn text(&mut self, opcode: u8) -> Result<(), Flaw> {
        let at = self.at;
        let node = match opcode {
            b'S' => {
                let line = self.cursor.line("a string")?;
                let line = self.cursor.bytes(line);
                Node::Latin1(self.arena.decode(|out| literal::string(line, at, out))?)
            }
            b'V' => {
                let line = self.cursor.line("text")?;
                let line = self.cursor.bytes(line);
                Node::Text(self.arena.decode(|out| literal::raw_unicode(line, at, out))?)
            }
            _ => {
                let length = match opcode {
                    b'U' | b'C' | 0x8c => u64::from(u8::from_le_bytes(self.cursor.array("a length")?)),
                    b'X' | b'B' => u64::from(u32::from_le_bytes(self.cursor.array("a length")?)),
                    b'T' => self.signed_length()?,
                    _ => u64::from_le_bytes(self.cursor.array("a length")?),
                };
                let first = self.cursor.at();
                let what = if matches!(opcode, b'X' | 0x8c | 0x8d) {
                    "text"
                } else {
                    "bytes"
                };
                let range = self.cursor.take(length, what)?;
                match opcode {
                    b'X' | 0x8c | 0x8d => {
                        if let Err(error) = str::from_utf8(self.cursor.bytes(range.clone())) {
                            let wrong = first + error.valid_up_to();
                            return Err(Flaw::new(wrong, "UTF-8", "other bytes"));
                        }
                        Node::Text(Span::from(range))
                    }
                    b'T' | b'U' => Node::Latin1(Span::from(range)),
                    _ => Node::Bytes(Span::from(range)),
                }
            }
        };
        self.push(node)
    }

    /// New lists, tuples and dictionaries.
    fn collection(&mut self, opcode: u8) -> Result<(), Flaw> {
        let items = match opcode {
            b'l' | b'd' | b't' => self.pop_mark()?,
            0x85..=0x87 => {
                let n = usize::from(opcode - 0x84);
                let height = self
                    .stack
                    .len()
                    .checked_sub(n)
                    .filter(|&height| height >= self.floor());
                let height = height.ok_or_else(|| self.flaw("a value on the stack", "none"))?;
                self.stack.drain(height..).collect()
            }
            _ => Vec::new(),
        };
        let chain = self.arena.chain(&items, self.at)?;
        let node = match opcode {
            b'l' | b']' => Node::List(chain),
            b'd' | b'}' => {
                self.check_pairs(&items)?;
                Node::Dict(chain)
            }
            _ => Node::Tuple(chain),
        };
        self.push(node)
    }

    fn check_pairs(&self, items: &[NodeId]) -> Result<(), Flaw> {
        if items.len().is_multiple_of(2) {
            return Ok(());
        }
        Err(self.flaw(
            "keys with their values",
            format!("{} values on the stack", items.len()),
        ))
    }

    /// Adds to the list or dictionary below.
    fn extend(&mut self, opcode: u8) -> Result<(), Flaw> {
        let items = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_mark()?,
        };
        let target = self.top()?;
        let is_list = matches!(opcode, b'a' | b'e');
        match self.arena.node(target) {
            Node::List(chain) if is_list => {
                let chain = self.extended(chain, &items)?;
                self.arena.set(target, Node::List(chain));
            }
            Node::Dict(chain) if !is_list => {
                self.check_pairs(&items)?;
                let chain = self.extended(chain, &items)?;
                self.arena.set(target, Node::Dict(chain));
            }
            other => {
                let expected = if is_list {
                    "a list to add to"
                } else {
                    "a dictionary to add to"
                };
                return Err(self.flaw(expected, numpy::describe(other)));
            }
        }
        Ok(())
    }

    fn extended(&mut self, mut chain: Chain, items: &[NodeId]) -> Result<Chain, Flaw> {
        for &item in items {
            self.arena.append(&mut chain, item, self.at)?;
        }
        Ok(chain)
    }

    fn put(&mut self, opcode: u8) -> Result<(), Flaw> {
        let index = match opcode {
            // As Python counts them.
            0x94 => u32::try_from(self.memo.len()).ok(),
            _ => self.index(opcode)?,
        };
        let index = index.ok_or_else(|| self.flaw("an index of the memo", "a larger number"))?;
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn get(&mut self, opcode: u8) -> Result<(), Flaw> {
        let index = self.index(opcode)?;
        let found = index.and_then(|index| self.memo.get(&index)).copied();
        let found = found.ok_or_else(|| {
            let index = index.map_or("one".to_owned(), |index| index.to_string());
            self.flaw("an index that the memo has", format!("{index}, which it has not"))
        })?;
        self.stack.push(found);
        Ok(())
    }

    /// An index of the memo; `None` for one that it can never have.
    fn index(&mut self, opcode: u8) -> Result<Option<u32>, Flaw> {
        Ok(match opcode {
            b'q' | b'h' => Some(u8::from_le_bytes(self.cursor.array("an index")?).into()),
            b'r' | b'j' => Some(u32::from_le_bytes(self.cursor.array("an index")?)),
            _ => {
                let line = self.cursor.line("an index")?;
                u32::try_from(literal::decimal(self.cursor.bytes(line), self.at)?).ok()
            }
        })
    }

    /// A function or class, which must be one of the few that arrays need.
    fn global(&mut self, opcode: u8) -> Result<(), Flaw> {
        let (module, name) = if opcode == 0x93 {
            let (name, module) = (self.pop()?, self.pop()?);
            let text = |id| match self.arena.node(id) {
                Node::Text(span) => Ok(self.arena.span(self.bytes, span)),
                other => Err(self.flaw("a name as text", numpy::describe(other))),
            };
            (text(module)?, text(name)?)
        } else {
            let (module, name) = (self.cursor.line("a module")?, self.cursor.line("a name")?);
            (self.cursor.bytes(module), self.cursor.bytes(name))
        };
        match Function::find(module, name, self.dialect).filter(|_| opcode != b'i') {
            Some(function) => self.push(Node::Function(function)),
            None => {
                let called = literal::quoted(&[module, b" ", name].concat());
                Err(self.flaw(PLAIN, called))
            }
        }
    }

    fn reduce(&mut self) -> Result<(), Flaw> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let Node::Function(function) = self.arena.node(callable) else {
            let found = format!("a call of {}", numpy::describe(self.arena.node(callable)));
            return Err(self.flaw(PLAIN, found));
        };
        let made = match function {
            Function::Encode => {
                let (text, span) = numpy::text_to_encode(&self.arena, self.bytes, arguments, self.at)?;
                match self.encoded.get(&text) {
                    Some(&made) => made,
                    None => {
                        let node = numpy::encode(&self.arena, self.bytes, span, self.at)?;
                        let made = self.arena.add(node, self.at)?;
                        self.encoded.insert(text, made);
                        made
                    }
                }
            }
            Function::Torch(function) => {
                let node = torch::call(function, &mut self.arena, arguments, self.at)?;
                self.arena.add(node, self.at)?
            }
            other => {
                let node = numpy::call(other, &self.arena, self.bytes, arguments, self.at)?;
                self.arena.add(node, self.at)?
            }
        };
        self.stack.push(made);
        Ok(())
    }

    fn build(&mut self) -> Result<(), Flaw> {
        let (state, target) = (self.pop()?, self.top()?);
        if self.dialect == Dialect::Torch && torch::is_annotation(&self.arena, target, state) {
            return Ok(());
        }
        let node = numpy::build(&self.arena, self.bytes, target, state, self.at)?;
        self.arena.set(target, node);
        Ok(())
    }

    /// A reference to values outside of the pickle.
    fn persistent(&mut self) -> Result<(), Flaw> {
        let id = self.pop()?;
        let node = torch::storage(&self.arena, self.bytes, id, self.at)?;
        self.push(node)
    }

    fn protocol(&mut self) -> Result<(), Flaw> {
        match self.cursor.array("a protocol")? {
            [0..=LATEST] => Ok(()),
            [later] => Err(self.flaw(format!("a protocol up to {LATEST}"), format!("protocol {later}"))),
        }
    }

    fn frame(&mut self) -> Result<(), Flaw> {
        let length = u64::from_le_bytes(self.cursor.array("a length")?);
        let left = self.cursor.left();
        if length > left as u64 {
            return Err(self.flaw(
                format!("a frame of at most {left} bytes"),
                format!("one of {length}"),
            ));
        }
        Ok(())
    }
}
