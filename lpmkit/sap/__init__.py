"""A SAP system seen from outside: four ways in, one model.

`model` is what there is to know, `system` asks for it by whichever way answers (`webservice`, `commands`, `rfc`, `soaprfc`) and says which did; `judge` holds
what was seen before a move against what was seen after. Everything here only reads. What is recalled and was seen in no source stands in `recalled` and
in rules marked ``U``, and nothing fails without it.
"""
