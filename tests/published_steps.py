"""The three step definitions of the published page, word for word."""

STEP = """{
  id: 'trainer',
  type: 'ModelGenerator',
  parameters: {
    datasetId: '$.input.userDatasetId',
    settings: {
      baseModel: 'stable-diffusion-v1-5/stable-diffusion-v1-5',
      epochs: 50,
      resolution: 1024,
      normalizeDataset: true,
      maskedLoss: true,
      // ...more hyperparameters below
    },
  },
}"""
PORTRAITS = """{
  id: 'portraitTrainer',
  type: 'ModelGenerator',
  parameters: {
    datasetId: '$.input.userDatasetId',
    settings: {
      baseModel: 'Realistic_Vision_V6.0_B1',
      epochs: 80,
      repeats: 1,
      alphaDim: 64,
      decouple: true,
      batchSize: 1,
      optimizer: 'Prodigy',
      precision: 'fp16',
      scheduler: 'Cosine',
      maskedLoss: true,
      networkDim: 64,
      resolution: 1024,
      learningRate: 1,
      bodyMaskShade: 200,
      headMaskShade: 255,
      biasCorrection: true,
      normalizeDataset: true,
      boundingMaskShade: 40,
      backgroundMaskShade: 40,
    },
  },
}"""
TEMPLATE = """{
  id: 'trainer',
  type: 'ModelGenerator',
  parameters: {
    trainingSettingsId: 'your-template-uuid',
    datasetId: '$.input.datasetId',
  },
}"""
PRINTED = {"step": STEP, "portraits": PORTRAITS, "template": TEMPLATE}
TAKES = {"step": "userDatasetId", "portraits": "userDatasetId", "template": "datasetId"}
"""The property of a form that each reads its dataset from."""
