//! Enums that people write.

/// An enum whose variants are written as fixed words in the file, in reports and in what is remembered.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::names::InvalidName;

            fn from_str(text: &str) -> Result<Self, crate::names::InvalidName> {
                let known = Self::ALL.iter().find(|word| word.as_str() == text);
                known
                    .copied()
                    .ok_or_else(|| crate::names::InvalidName(format!("is none of {}", Self::WORDS.join(", "))))
            }
        }
    };
}

pub(crate) use words;
