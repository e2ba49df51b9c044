//! A bound on how deep a policy nests, before it is parsed. Why: Cedar's parser, its validator and its evaluator recurse
//! along a condition, and a policy of another centre must not end our process by exhausting a stack.

use crate::limits;

/// Checks every policy of a file.
///
/// # Errors
/// The offset, in bytes, at which a policy becomes too long or too deep.
pub(super) fn check(text: &str) -> Result<(), usize> {
    let (mut tokens, mut depth) = (0_usize, 0_usize);
    let mut rest = text.char_indices().peekable();
    while let Some((at, sign)) = rest.next() {
        match sign {
            '"' => {
                // A text counts for nothing, whatever stands in it.
                while let Some((_, inside)) = rest.next() {
                    match inside {
                        '"' => break,
                        '\\' => drop(rest.next()),
                        _ => {}
                    }
                }
                continue;
            }
            '/' if rest.peek().is_some_and(|(_, next)| *next == '/') => {
                while rest.next_if(|(_, inside)| *inside != '\n').is_some() {}
                continue;
            }
            // Outside brackets this ends a policy; inside them it is a mistake that the parser names.
            ';' if depth == 0 => {
                tokens = 0;
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' => continue,
            _ if sign.is_whitespace() => continue,
            _ if is_word(sign) => while rest.next_if(|(_, next)| is_word(*next)).is_some() {},
            _ => {}
        }
        tokens += 1;
        if tokens > limits::POLICY_TOKENS || depth > limits::POLICY_DEPTH {
            return Err(at);
        }
    }
    Ok(())
}

fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}
