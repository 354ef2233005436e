"""A SAP system seen from outside: four ways in, one model.

`model` has the facts, `system` asks for them from the first source that answers (`webservice`, `commands`, `rfc`,
`soaprfc`) and names it; `judge` holds what was seen before a move against what was seen after. Everything here only
reads. What is only recalled is in `recalled` and in rules marked ``U``, and nothing fails without it.
"""
