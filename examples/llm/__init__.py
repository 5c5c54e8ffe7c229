"""Recipes for programs that ask language models; each one proves what it says.

Run one from the project's root, `python -m examples.llm.retries` for instance. It asks a model
server of its own unless `--base-url` names another, prints what it has proved, and exits with 0,
with 1 if something turned out untrue, with 2 if it could not go on, or with 130 after Ctrl-C.
"""
