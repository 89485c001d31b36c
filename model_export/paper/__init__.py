"""The paper's claims, measured again: `wsm-export paper`."""
