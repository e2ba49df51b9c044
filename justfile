# Shorthand only: each recipe calls steps of .ci/run, and nothing needs just.

# The quick half of the gate: format, lints, dependency rules.
check:
    .ci/run fmt clippy purity deny

# Unit, integration and doc tests, once.
test:
    .ci/run test

# The same tests with many more random cases for each property.
fuzz cases="10000":
    PROPTEST_CASES={{cases}} .ci/run test

# The documentation, with warnings as errors.
doc:
    .ci/run doc

# Optimised programs, then the centres on this machine and their checks.
testnet:
    .ci/run release testnet

# The whole gate, as before a merge.
gate:
    .ci/run
