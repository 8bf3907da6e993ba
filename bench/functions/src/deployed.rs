//! Reads the memory and the environment of the functions from template.yaml, so that the benchmark measures what is
//! deployed.

use std::collections::BTreeMap;
use std::fs;

use crate::{BoxError, root};

/// The settings of all functions.
#[derive(Debug)]
pub(crate) struct Template {
    memory: BTreeMap<String, u64>,
    variables: BTreeMap<String, Vec<(String, String)>>,
}

const GLOBALS: &str = "Function";

impl Template {
    pub(crate) fn read() -> Result<Self, BoxError> {
        let text = fs::read_to_string(root().join("template.yaml"))?;
        let template = Self::parse(&text);
        for function in ["upload", "presign", "videos", "playback", "thumbnail"] {
            if !template.memory.contains_key(&logical(function)) {
                return Err(format!("template.yaml has no MemorySize for {function}").into());
            }
        }
        Ok(template)
    }

    /// Returns the memory size of a function, in MB.
    pub(crate) fn memory(&self, function: &str) -> u64 {
        self.memory.get(&logical(function)).copied().unwrap_or_default()
    }

    /// Returns the environment variables of a function that have a literal value, without references and parameters.
    pub(crate) fn variables(&self, function: &str) -> impl Iterator<Item = (&str, &str)> {
        let of = |name: &str| self.variables.get(name).into_iter().flatten();
        of(GLOBALS).chain(of(&logical(function))).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Parses the template line by line. A YAML parser would need support for tags such as `!Ref`, and the template's
    /// layout is enforced by its checks.
    fn parse(text: &str) -> Self {
        let mut template = Self { memory: BTreeMap::new(), variables: BTreeMap::new() };
        let (mut entry, mut variables) = ("", None);
        for line in text.lines() {
            let content = line.trim_start();
            let indent = line.len() - content.len();
            let Some((name, value)) = content.split_once(':') else { continue };
            let value = value.split(" #").next().unwrap_or_default().trim();
            if indent == 2 {
                entry = name;
            }
            if variables.is_some_and(|outer| indent <= outer) {
                variables = None;
            }
            if name == "MemorySize"
                && let Ok(memory) = value.parse()
            {
                template.memory.insert(entry.to_owned(), memory);
            } else if name == "Variables" {
                variables = Some(indent);
            } else if variables == Some(indent.saturating_sub(2))
                && !value.is_empty()
                && !value.starts_with(['!', '&', '*'])
            {
                let variable = (name.to_owned(), value.trim_matches(['\'', '"']).to_owned());
                template.variables.entry(entry.to_owned()).or_default().push(variable);
            }
        }
        template
    }
}

/// Returns the logical ID of a function in the template.
pub(crate) fn logical(function: &str) -> String {
    let (first, rest) = function.split_at(1);
    format!("{}{rest}Function", first.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_memory_and_variables() {
        let template = Template::parse(
            "Globals:\n  Function:\n    Environment:\n      Variables:\n        TABLE: !Ref T\n        A: 'true'\n\
             Resources:\n  UploadFunction:\n    Properties:\n      MemorySize: 1024 # because\n      Environment:\n\
             \x20       Variables:\n          B: 7\n      Timeout: 28\n",
        );
        assert_eq!(template.memory("upload"), 1024);
        assert_eq!(template.variables("upload").collect::<Vec<_>>(), [("A", "true"), ("B", "7")]);
        assert_eq!(template.variables("videos").collect::<Vec<_>>(), [("A", "true")]);
        assert_eq!(Template::read().unwrap().memory("presign"), 512);
    }
}
