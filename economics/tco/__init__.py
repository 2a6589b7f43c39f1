"""What a demand for tokens costs at an API, on rented, on owned accelerators, and on the best mixture of them.

`scenario` says what is asked, `measured` reads the demand from the ledger, `facts` holds prices with their sources,
`calculate` answers. Formulas and an example: `docs/tco.md`.
"""
