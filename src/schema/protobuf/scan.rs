//! Messages taken apart: members, one after the other. Nothing is allocated because a length says so.

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("unexpected EOF")]
    End,
    #[error("proto: integer overflow")]
    Overflow,
    #[error("proto: illegal wireType {0}")]
    WireType(u64),
    #[error("proto: illegal tag {0}")]
    Tag(u64),
    #[error("proto: wrong wireType for field {0}")]
    Form(String),
    #[error("proto: message is nested too deeply")]
    Depth,
    #[error("proto: message holds too many values")]
    Room,
    #[error("{0}")]
    Value(String),
}

pub(super) type Result<T> = std::result::Result<T, Fault>;

/// The content of a member.
#[derive(Clone, Copy)]
pub(super) enum Content<'b> {
    Number(u64),
    Fixed(u64),
    Bytes(&'b [u8]),
    Other,
}

/// What is left of a message.
pub(super) struct Scan<'b> {
    pub(super) rest: &'b [u8],
}

impl<'b> Scan<'b> {
    /// The number and content of the next member.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Content<'b>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0).ok_or(Fault::Tag(tag))?;
        let content = match tag & 7 {
            0 => Content::Number(self.varint()?),
            1 => Content::Fixed(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                Content::Bytes(self.take(usize::try_from(length).map_err(|_| Fault::End)?)?)
            }
            3 => {
                self.group()?;
                Content::Other
            }
            5 => {
                self.take(4)?;
                Content::Other
            }
            kind => return Err(Fault::WireType(kind)),
        };
        Ok(Some((number, content)))
    }

    /// Passes over a group, which nobody sends any more.
    fn group(&mut self) -> Result<()> {
        let mut open = 1_u32;
        while open > 0 {
            let tag = self.varint()?;
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.take(8)?),
                2 => {
                    let length = self.varint()?;
                    self.take(usize::try_from(length).map_err(|_| Fault::End)?)?;
                }
                3 => open += 1,
                4 => open -= 1,
                5 => drop(self.take(4)?),
                kind => return Err(Fault::WireType(kind)),
            }
        }
        Ok(())
    }

    pub(super) fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for place in 0..10 {
            let (byte, rest) = self.rest.split_first().ok_or(Fault::End)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Fault::Overflow)
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Fault::End)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array(&mut self) -> Result<[u8; 8]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Fault::End)?;
        self.rest = rest;
        Ok(*taken)
    }
}

/// The last content of a bytes member.
pub(super) fn last(message: &[u8], wanted: u32) -> Result<Option<&[u8]>> {
    let mut found = None;
    let mut scan = Scan { rest: message };
    while let Some((number, content)) = scan.next()? {
        if let Content::Bytes(content) = content
            && number == wanted
        {
            found = Some(content);
        }
    }
    Ok(found)
}
