"""How an evaluation leaves: Inspect AI's logs and models, JUnit, cases for a policy's own tests."""
