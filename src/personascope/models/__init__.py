"""Engines: what turns chats into replies and residual streams.

Stages know `protocols` only; the engines beside it know one library each.
"""
