"""vLLM as an engine: replies, residuals and scores at the speed of its batches, steered row by row.

`starting` opens it. Only modules in here import vllm, and only once an engine is opened.
"""
