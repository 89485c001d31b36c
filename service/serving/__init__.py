"""The models that are served.

a folder of bundles (shelf) -> which model a request means (offers) -> a loaded one (model),
kept while it is used (models, workforce), and replaced when its folder changes (renewal)
"""
