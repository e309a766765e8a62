"""What is said of a dataset before it is trained: pictures in, findings and advice out.

`inspect.inspect` is the way in; `report` has what comes out, `facts` what is known of one picture,
and the modules between them one part of the judgement each, with its thresholds.
"""
