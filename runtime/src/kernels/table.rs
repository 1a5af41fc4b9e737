//! Functions of single values, by table.

/// An int8 for every int8.
#[derive(Clone, Debug, PartialEq)]
pub struct Table([i8; 256]);

impl Table {
    /// `values` are in the order of the values' bits as u8: what 0 becomes, what 1 becomes, ..., what -1 becomes.
    pub fn new(values: [i8; 256]) -> Self {
        Table(values)
    }

    /// Writes for each of `input` what it becomes.
    pub fn run(&self, input: &[i8], output: &mut [i8]) {
        for (output, &value) in output.iter_mut().zip(input) {
            *output = self.0[usize::from(value as u8)];
        }
    }
}
